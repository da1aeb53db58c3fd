#include "transforms.h"

namespace custom_layers
{

int Transforms::load_param(const ncnn::ParamDict&) { return check_io(*this, 1, 1, 1, 1); }

int Transforms::forward(const ncnn::Mat& bottom_blob, ncnn::Mat& top_blob, const ncnn::Option& opt) const
{
    if (check_blob(*this, bottom_blob) != 0)
        return -1;
    if (bottom_blob.dims != 1 || bottom_blob.w != 4)
        return fail(*this, "expects [4] (r_c, r_s, t_x, t_y), got %s", shape_string(bottom_blob).c_str());
    top_blob.create(3, 2, 4u, opt.blob_allocator);
    if (top_blob.empty())
        return fail(*this, "out of memory for [2, 3]");

    const float c = bottom_blob[0];
    const float s = bottom_blob[1];
    const float x = bottom_blob[2];
    const float y = bottom_blob[3];
    float* first = top_blob.row(0);
    float* second = top_blob.row(1);
    first[0] = c;
    first[1] = -s;
    first[2] = s * y - c * x;
    second[0] = s;
    second[1] = c;
    second[2] = -s * x - c * y;
    return 0;
}

} // namespace custom_layers
