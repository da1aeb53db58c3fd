// The activation that ncnn's own layers fuse: parameters 9 (type) and 10 (numbers) of Convolution and its
// kin.
#pragma once

#include "checks.h"

namespace custom_layers
{

class FusedActivation
{
public:
    // 0 none, 1 relu, 2 leaky relu (slope), 3 clip (min, max), 4 sigmoid, 5 mish, 6 hardswish (alpha, beta)
    int load(const ncnn::Layer& layer, ParamReader& reader, int type_id, int numbers_id);

    void apply(ncnn::Mat& blob, const ncnn::Option& opt) const;

private:
    int type_ = 0;
    float a_ = 0.f;
    float b_ = 0.f;
};

} // namespace custom_layers
