#include "resample.h"

#include <string.h>

namespace custom_layers
{

int Resample::create(const ncnn::Mat& x, ncnn::Mat& y, int w, int h, const ncnn::Option& opt) const
{
    y.create(w, h, x.c, x.elemsize, x.elempack, opt.blob_allocator);
    if (y.empty())
        return fail(*this, "out of memory for [%d, %d, %d]", outer_size(x), h, w);
    return 0;
}

// Pixels of `pack` values, `to_step` and `from_step` pixels apart.
static void copy_pixels(const float* from, int from_step, float* to, int to_step, int count, int pack)
{
    if (pack == 1) {
        for (int i = 0; i < count; i++)
            to[i * to_step] = from[i * from_step];
        return;
    }
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < pack; k++)
            to[k] = from[k];
        to += to_step * pack;
        from += from_step * pack;
    }
}

int Resample::decimate(const ncnn::Mat& x, ncnn::Mat& y, int factor, const ncnn::Option& opt) const
{
    if (check_blob(*this, x) != 0)
        return -1;
    if (x.dims != 3)
        return fail(*this, "expects [C, H, W], got %s", shape_string(x).c_str());
    if (create(x, y, (x.w + factor - 1) / factor, (x.h + factor - 1) / factor, opt) != 0)
        return -1;

    const int pack = x.elempack;
#pragma omp parallel for num_threads(opt.num_threads)
    for (int c = 0; c < x.c; c++) {
        const float* from = (const float*)x.data + x.cstep * c * pack;
        float* to = (float*)y.data + y.cstep * c * pack;
        for (int i = 0; i < y.h; i++) {
            copy_pixels(from, factor, to, 1, y.w, pack);
            from += (size_t)x.w * factor * pack;
            to += (size_t)y.w * pack;
        }
    }
    return 0;
}

int Resample::insert_zeros(const ncnn::Mat& x, ncnn::Mat& y, int factor, const ncnn::Option& opt) const
{
    if (check_blob(*this, x) != 0)
        return -1;
    if (x.dims != 3 || x.w > INT_MAX / factor || x.h > INT_MAX / factor)
        return fail(*this, "expects [C, H, W], got %s", shape_string(x).c_str());
    if (create(x, y, x.w * factor, x.h * factor, opt) != 0)
        return -1;

    const int pack = x.elempack;
#pragma omp parallel for num_threads(opt.num_threads)
    for (int c = 0; c < x.c; c++) {
        const float* from = (const float*)x.data + x.cstep * c * pack;
        float* to = (float*)y.data + y.cstep * c * pack;
        for (int i = 0; i < x.h; i++) {
            memset(to, 0, (size_t)y.w * factor * pack * sizeof(float));
            copy_pixels(from, 1, to, factor, x.w, pack);
            from += (size_t)x.w * pack;
            to += (size_t)y.w * factor * pack;
        }
    }
    return 0;
}

} // namespace custom_layers
