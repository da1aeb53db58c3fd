// y = x + noise; inputs [x, noise]: x is [C, H, W], noise has H * W values in any shape, one plane for all
// channels.
#pragma once

#include "elementwise.h"

namespace custom_layers
{

class AddNoise : public Elementwise
{
public:
    AddNoise() { one_blob_only = false; }

    int load_param(const ncnn::ParamDict& pd) override;
    int forward_inplace(std::vector<ncnn::Mat>& bottom_top_blobs, const ncnn::Option& opt) const override;
};

} // namespace custom_layers
