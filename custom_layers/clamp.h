// y = min(max(x, min), max), any shape; NaN stays NaN.
#pragma once

#include "elementwise.h"

namespace custom_layers
{

class Clamp : public Elementwise
{
public:
    int load_param(const ncnn::ParamDict& pd) override;
    int forward_inplace(ncnn::Mat& bottom_top_blob, const ncnn::Option& opt) const override;

private:
    float min_ = 0.f;
    float max_ = 1.f;
};

} // namespace custom_layers
