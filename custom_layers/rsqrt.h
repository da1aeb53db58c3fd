// y = 1 / sqrt(eps + x * scale), any shape.
#pragma once

#include "elementwise.h"

namespace custom_layers
{

class Rsqrt : public Elementwise
{
public:
    int load_param(const ncnn::ParamDict& pd) override;
    int forward_inplace(ncnn::Mat& bottom_top_blob, const ncnn::Option& opt) const override;

private:
    float eps_ = 0.f;
    float scale_ = 1.f;
};

} // namespace custom_layers
