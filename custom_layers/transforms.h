// StyleGAN3's learned rotation and translation: [4] -> the first two rows of R * T, a matrix of [2, 3].
//
// t = (r_c, r_s, t_x, t_y), the first two of norm 1;
// R = [[r_c, -r_s, 0], [r_s, r_c, 0], [0, 0, 1]], T = [[1, 0, -t_x], [0, 1, -t_y], [0, 0, 1]].
#pragma once

#include "checks.h"

namespace custom_layers
{

class Transforms : public ncnn::Layer
{
public:
    Transforms() { one_blob_only = true; }

    int load_param(const ncnn::ParamDict& pd) override;
    int forward(const ncnn::Mat& bottom_blob, ncnn::Mat& top_blob, const ncnn::Option& opt) const override;
};

} // namespace custom_layers
