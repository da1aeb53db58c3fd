// Keeps every second pixel: [C, H, W] -> [C, ceil(H/2), ceil(W/2)].
#pragma once

#include "resample.h"

namespace custom_layers
{

class Down2 : public Resample
{
public:
    int forward(const ncnn::Mat& bottom_blob, ncnn::Mat& top_blob, const ncnn::Option& opt) const override;
};

} // namespace custom_layers
