// y = |x|, any shape.
#pragma once

#include "elementwise.h"

namespace custom_layers
{

class Abs : public Elementwise
{
public:
    int forward_inplace(ncnn::Mat& bottom_top_blob, const ncnn::Option& opt) const override;
};

} // namespace custom_layers
