#include "upfirdn2d.h"

#include "param_ids.h"

namespace custom_layers
{

Upfirdn2d::Upfirdn2d()
{
    one_blob_only = true;
    support_packing = true;
}

int Upfirdn2d::load_param(const ncnn::ParamDict& pd)
{
    using P = param::Upfirdn2d;
    ParamReader reader(*this, pd);
    const int most = FirAxis::kMostFactor;
    fir_.y.up = reader.integer(P::up_y, "up_y", 1, 1, most);
    fir_.x.up = reader.integer(P::up_x, "up_x", 1, 1, most);
    fir_.y.down = reader.integer(P::down_y, "down_y", 1, 1, most);
    fir_.x.down = reader.integer(P::down_x, "down_x", 1, 1, most);
    fir_.load_padding(reader, P::pad_top, P::pad_bottom, P::pad_left, P::pad_right);
    flip_ = reader.integer(P::flip_filter, "flip_filter", 0, 0, 1) != 0;
    gain_ = reader.number(P::gain, "gain", 1.f);
    return source_.load_param(*this, reader, "f", P::f_h, P::f_w) != 0 ? -1 : check_io(*this, 1, 1, 1, 1);
}

int Upfirdn2d::load_model(const ncnn::ModelBin& mb)
{
    // Without upsampling, as the second filter: that one is applied to the pixels that are kept only.
    FirFilter& filter = fir_.y.up == 1 && fir_.x.up == 1 ? fir_.down : fir_.up;
    if (source_.load_model(*this, mb, "f", flip_, gain_, filter) != 0)
        return -1;
    loaded_ = true;
    return 0;
}

int Upfirdn2d::forward(const ncnn::Mat& bottom_blob, ncnn::Mat& top_blob, const ncnn::Option& opt) const
{
    if (!loaded_)
        return fail(*this, "has no weights: load_model was not called or failed");
    if (check_blob(*this, bottom_blob) != 0)
        return -1;
    return fir_.run(*this, bottom_blob, nullptr, top_blob, opt);
}

} // namespace custom_layers
