// y = down(FIR(pad(up_zeros(x))) * gain), the upfirdn2d op of StyleGAN2-ADA.
//
// x [C, H, W]; the filter is in the model file, raw float32, as the author gave it: [n] for both axes, [h,
// w], or none. Negative padding crops. y [C, OH, OW], OH = (H * up_y + top + bottom - h) / down_y + 1, and OW
// likewise.
#pragma once

#include "fir.h"

namespace custom_layers
{

class Upfirdn2d : public ncnn::Layer
{
public:
    Upfirdn2d();
    int load_param(const ncnn::ParamDict& pd) override;
    int load_model(const ncnn::ModelBin& mb) override;
    int forward(const ncnn::Mat& bottom_blob, ncnn::Mat& top_blob, const ncnn::Option& opt) const override;

private:
    FirSource source_;
    float gain_ = 1.f;
    bool flip_ = false;
    bool loaded_ = false;
    Fir fir_;
};

} // namespace custom_layers
