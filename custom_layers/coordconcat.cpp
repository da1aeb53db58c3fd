#include "coordconcat.h"

#include "param_ids.h"

#include <string.h>

namespace custom_layers
{

int CoordConcat::load_param(const ncnn::ParamDict& pd)
{
    ParamReader reader(*this, pd);
    reader.integer(param::CoordConcat::axis, "axis", 0, 0, 0);
    if (reader.status() != 0)
        return -1;
    return check_io(*this, 1, 1, 1, 1);
}

// torch.linspace(-1, 1, count)[i], which counts from the nearer end.
static float coordinate(int i, int count)
{
    if (count == 1)
        return -1.f;
    const float step = 2.f / (float)(count - 1);
    return i < count / 2 ? -1.f + step * (float)i : 1.f - step * (float)(count - 1 - i);
}

int CoordConcat::forward(const ncnn::Mat& bottom_blob, ncnn::Mat& top_blob, const ncnn::Option& opt) const
{
    const ncnn::Mat& x = bottom_blob;
    if (check_blob(*this, x) != 0)
        return -1;
    if (x.dims != 3 || x.c > INT_MAX - 2)
        return fail(*this, "expects [C, H, W], got %s", shape_string(x).c_str());
    top_blob.create(x.w, x.h, x.c + 2, 4u, opt.blob_allocator);
    if (top_blob.empty())
        return fail(*this, "out of memory for [%d, %d, %d]", x.c + 2, x.h, x.w);

#pragma omp parallel for num_threads(opt.num_threads)
    for (int c = 0; c < x.c; c++)
        memcpy((float*)top_blob.channel(c), (const float*)x.channel(c), (size_t)x.w * x.h * sizeof(float));

    float* along_w = top_blob.channel(x.c);
    float* along_h = top_blob.channel(x.c + 1);
    for (int i = 0; i < x.h; i++) {
        const float value = coordinate(i, x.h);
        for (int j = 0; j < x.w; j++) {
            along_w[(size_t)i * x.w + j] = coordinate(j, x.w);
            along_h[(size_t)i * x.w + j] = value;
        }
    }
    return 0;
}

} // namespace custom_layers
