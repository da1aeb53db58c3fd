// Appends the coordinates of each pixel: [C, H, W] -> [C + 2, H, W]. Channel C runs from -1 to 1 along W,
// channel C + 1 from -1 to 1 along H, as torch.linspace does (a single pixel gets -1).
#pragma once

#include "checks.h"

namespace custom_layers
{

class CoordConcat : public ncnn::Layer
{
public:
    CoordConcat() { one_blob_only = true; }

    int load_param(const ncnn::ParamDict& pd) override;
    int forward(const ncnn::Mat& bottom_blob, ncnn::Mat& top_blob, const ncnn::Option& opt) const override;
};

} // namespace custom_layers
