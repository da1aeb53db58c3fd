// y = x op v along one axis; inputs [x, v]: x is [C, D, H, W], v is 1-D with the size of axis `dim` (0 = C ..
// 3 = W).
#pragma once

#include "checks.h"

namespace custom_layers
{

class F4DOp1D : public ncnn::Layer
{
public:
    int load_param(const ncnn::ParamDict& pd) override;
    int forward(const std::vector<ncnn::Mat>& bottom_blobs, std::vector<ncnn::Mat>& top_blobs,
                const ncnn::Option& opt) const override;

private:
    int dim_ = 0;
    int op_ = 0; // 0 mul, 1 div, 2 add, 3 sub
};

} // namespace custom_layers
