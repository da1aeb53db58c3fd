// y = scale * x + bias, any shape.
#pragma once

#include "elementwise.h"

namespace custom_layers
{

class MulConstant : public Elementwise
{
public:
    int load_param(const ncnn::ParamDict& pd) override;
    int forward_inplace(ncnn::Mat& bottom_top_blob, const ncnn::Option& opt) const override;

private:
    float scale_ = 1.f;
    float bias_ = 0.f;
};

} // namespace custom_layers
