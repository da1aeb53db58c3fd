// Inserts zeros: [C, H, W] -> [C, 2H, 2W] with x at [2i, 2j].
#pragma once

#include "resample.h"

namespace custom_layers
{

class Up2 : public Resample
{
public:
    int forward(const ncnn::Mat& bottom_blob, ncnn::Mat& top_blob, const ncnn::Option& opt) const override;
};

} // namespace custom_layers
