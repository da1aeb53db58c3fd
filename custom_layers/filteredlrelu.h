// y = down(FIR_d(clamp(lrelu(FIR_u(up_zeros(x + b)) * gain)))) of StyleGAN3.
//
// x [C, H, W]; weights in the model file, raw float32: the two filters as the author gave them (1-D: for both
// axes, 2-D, or none), b [C]. The up filter has a gain of up^2. Negative padding crops; the bias is not added
// to padding. y [C, OH, OW], OH = (H * up + top + bottom - (fu_h - 1) - fd_h) / down + 1, and OW likewise.
#pragma once

#include "fir.h"

namespace custom_layers
{

class FilteredLrelu : public ncnn::Layer
{
public:
    FilteredLrelu();
    int load_param(const ncnn::ParamDict& pd) override;
    int load_model(const ncnn::ModelBin& mb) override;
    int forward(const ncnn::Mat& bottom_blob, ncnn::Mat& top_blob, const ncnn::Option& opt) const override;

private:
    FirSource up_;
    FirSource down_;
    int bias_data_size_ = 0;
    bool flip_ = false;
    bool loaded_ = false;
    ncnn::Mat bias_;
    Fir fir_;
};

} // namespace custom_layers
