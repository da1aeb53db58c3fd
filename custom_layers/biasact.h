// y = clamp(act(x + b) * gain); inputs [x] or [x, b].
//
// x is [features], [rows, features], [C, H, W] or [C, D, H, W]; b is 1-D with one value per feature or
// channel.
#pragma once

#include "elementwise.h"

namespace custom_layers
{

class BiasAct : public Elementwise
{
public:
    int load_param(const ncnn::ParamDict& pd) override;
    int forward_inplace(ncnn::Mat& bottom_top_blob, const ncnn::Option& opt) const override;
    int forward_inplace(std::vector<ncnn::Mat>& bottom_top_blobs, const ncnn::Option& opt) const override;

private:
    int run(ncnn::Mat& x, const float* bias, const ncnn::Option& opt) const;

    int act_ = 0; // 0 linear, 1 relu, 2 lrelu, 3 tanh, 4 sigmoid, 5 elu, 6 selu, 7 softplus, 8 swish
    float alpha_ = 0.f;
    float gain_ = 1.f;
    float clamp_ = -1.f;
    bool bias_term_ = false;
};

} // namespace custom_layers
