#include "filteredlrelu.h"

#include "param_ids.h"

#include <math.h>

namespace custom_layers
{

FilteredLrelu::FilteredLrelu()
{
    one_blob_only = true;
    support_packing = true;
}

int FilteredLrelu::load_param(const ncnn::ParamDict& pd)
{
    using P = param::FilteredLrelu;
    ParamReader reader(*this, pd);
    fir_.y.up = fir_.x.up = reader.integer(P::up, "up", 1, 1, FirAxis::kMostFactor);
    fir_.y.down = fir_.x.down = reader.integer(P::down, "down", 1, 1, FirAxis::kMostFactor);
    fir_.load_padding(reader, P::pad_top, P::pad_bottom, P::pad_left, P::pad_right);
    bias_data_size_ = reader.integer(P::bias_data_size, "bias_data_size", 0, 0);
    const float gain = reader.number(P::gain, "gain", 1.f);
    const float slope = reader.number(P::slope, "slope", 0.2f);
    const float clamp = reader.number(P::clamp, "clamp", -1.f);
    flip_ = reader.integer(P::flip_filter, "flip_filter", 0, 0, 1) != 0;
    if (up_.load_param(*this, reader, "fu", P::fu_h, P::fu_w) != 0 ||
        down_.load_param(*this, reader, "fd", P::fd_h, P::fd_w) != 0)
        return -1;
    fir_.activation.positive = gain;
    fir_.activation.negative = gain * slope;
    fir_.activation.limit = clamp < 0.f ? INFINITY : clamp;
    return check_io(*this, 1, 1, 1, 1);
}

int FilteredLrelu::load_model(const ncnn::ModelBin& mb)
{
    const float up_gain = (float)(fir_.y.up * fir_.x.up);
    if (up_.load_model(*this, mb, "fu", flip_, up_gain, fir_.up) != 0 ||
        down_.load_model(*this, mb, "fd", flip_, 1.f, fir_.down) != 0 ||
        load_values(*this, mb, "b", bias_data_size_, bias_) != 0)
        return -1;
    loaded_ = true;
    return 0;
}

int FilteredLrelu::forward(const ncnn::Mat& bottom_blob, ncnn::Mat& top_blob, const ncnn::Option& opt) const
{
    if (!loaded_)
        return fail(*this, "has no weights: load_model was not called or failed");
    if (check_blob(*this, bottom_blob) != 0)
        return -1;
    if (bias_data_size_ != 0 && (bottom_blob.dims != 3 || outer_size(bottom_blob) != bias_data_size_))
        return fail(*this, "expects [%d, H, W], as many channels as b has values, got %s", bias_data_size_,
                    shape_string(bottom_blob).c_str());
    return fir_.run(*this, bottom_blob, bias_, top_blob, opt);
}

} // namespace custom_layers
