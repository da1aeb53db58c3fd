#include "addnoise.h"

namespace custom_layers
{

int AddNoise::load_param(const ncnn::ParamDict&) { return check_io(*this, 2, 2, 1, 1); }

template <int pack> static void add_plane(ncnn::Mat& x, const float* plane, const ncnn::Option& opt)
{
    for_each_piece(x, opt, [plane](float* values, size_t count, int, size_t offset) {
        const float* from = plane + offset / pack;
        for (size_t i = 0; i < count / pack; i++) {
            for (int k = 0; k < pack; k++)
                values[i * pack + k] += from[i];
        }
    });
}

int AddNoise::forward_inplace(std::vector<ncnn::Mat>& bottom_top_blobs, const ncnn::Option& opt) const
{
    if (check_blobs(*this, bottom_top_blobs, 2, 2) != 0)
        return -1;
    ncnn::Mat& x = bottom_top_blobs[0];
    const ncnn::Mat& noise = bottom_top_blobs[1];
    if (x.dims != 3 || value_count(noise) != (size_t)x.w * x.h)
        return fail(*this, "expects x of [C, H, W] and noise of H * W values, got %s",
                    shape_string(bottom_top_blobs).c_str());

    // A plane of [H, W] arrives packed by rows when H allows it.
    const ncnn::Mat plane = flatten(noise, opt);
    if (plane.empty())
        return fail(*this, "out of memory for noise of %s", shape_string(noise).c_str());
    if (x.elempack == 1)
        add_plane<1>(x, plane, opt);
    else if (x.elempack == 4)
        add_plane<4>(x, plane, opt);
    else if (x.elempack == 8)
        add_plane<8>(x, plane, opt);
    else
        add_plane<16>(x, plane, opt);
    return 0;
}

} // namespace custom_layers
