#include "lerp.h"

#include "elementwise.h"

namespace custom_layers
{

int Lerp::load_param(const ncnn::ParamDict&) { return check_io(*this, 3, 3, 1, 1); }

static bool same_shape(const ncnn::Mat& a, const ncnn::Mat& b)
{
    return a.dims == b.dims && a.w == b.w && a.h == b.h && a.d == b.d && a.c == b.c &&
           a.elempack == b.elempack;
}

int Lerp::forward(const std::vector<ncnn::Mat>& bottom_blobs, std::vector<ncnn::Mat>& top_blobs,
                  const ncnn::Option& opt) const
{
    if (check_blobs(*this, bottom_blobs, 3, 3) != 0)
        return -1;
    const ncnn::Mat& a = bottom_blobs[0];
    const ncnn::Mat& b = bottom_blobs[1];
    const ncnn::Mat& coeff = bottom_blobs[2];
    const bool scalar = value_count(coeff) == 1;
    if (!same_shape(a, b) || (!scalar && !same_shape(a, coeff)))
        return fail(*this, "expects a and b of one shape and coeff of that shape or a single value, got %s",
                    shape_string(bottom_blobs).c_str());

    ncnn::Mat& y = top_blobs[0];
    y.create_like(a, opt.blob_allocator);
    if (y.empty())
        return fail(*this, "out of memory for %s", shape_string(a).c_str());
    const int pack = a.elempack;
    for_each_piece(
        y, opt, [&a, &b, &coeff, scalar, pack](float* to, size_t count, int channel, size_t offset) {
            const size_t start = a.cstep * channel * pack + offset;
            const float* from_a = (const float*)a.data + start;
            // Equal shapes can differ in the gap between channels.
            const float* from_b = (const float*)b.data + b.cstep * channel * pack + offset;
            if (scalar) {
                const float t = coeff[0];
                for (size_t i = 0; i < count; i++)
                    to[i] = lerp_value(from_a[i], from_b[i], t);
            } else {
                const float* from_t = (const float*)coeff.data + coeff.cstep * channel * pack + offset;
                for (size_t i = 0; i < count; i++)
                    to[i] = lerp_value(from_a[i], from_b[i], from_t[i]);
            }
        });
    return 0;
}

} // namespace custom_layers
