// y = sin(scale * pi * x), any shape.
#pragma once

#include "elementwise.h"

namespace custom_layers
{

class Sin : public Elementwise
{
public:
    int load_param(const ncnn::ParamDict& pd) override;
    int forward_inplace(ncnn::Mat& bottom_top_blob, const ncnn::Option& opt) const override;

private:
    float scale_ = 1.f;
};

} // namespace custom_layers
