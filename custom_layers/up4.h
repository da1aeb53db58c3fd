// Inserts zeros: [C, H, W] -> [C, 4H, 4W] with x at [4i, 4j].
#pragma once

#include "resample.h"

namespace custom_layers
{

class Up4 : public Resample
{
public:
    int forward(const ncnn::Mat& bottom_blob, ncnn::Mat& top_blob, const ncnn::Option& opt) const override;
};

} // namespace custom_layers
