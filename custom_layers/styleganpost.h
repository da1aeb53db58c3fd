// y = min(max(x * 127.5 + 128, 0), 255), any shape: a network's image to the range of bytes.
#pragma once

#include "elementwise.h"

namespace custom_layers
{

class StyleganPost : public Elementwise
{
public:
    int forward_inplace(ncnn::Mat& bottom_top_blob, const ncnn::Option& opt) const override;
};

} // namespace custom_layers
