// y = a + coeff * (b - a); inputs [a, b, coeff]: a and b of one shape, coeff of that shape or a single value.
// coeff 0 gives a and coeff 1 gives b, exactly.
#pragma once

#include "checks.h"

namespace custom_layers
{

class Lerp : public ncnn::Layer
{
public:
    Lerp() { support_packing = true; }

    int load_param(const ncnn::ParamDict& pd) override;
    int forward(const std::vector<ncnn::Mat>& bottom_blobs, std::vector<ncnn::Mat>& top_blobs,
                const ncnn::Option& opt) const override;
};

// a + t * (b - a), exact at both ends.
inline float lerp_value(float a, float b, float t) { return t == 0.f ? a : t == 1.f ? b : a + t * (b - a); }

} // namespace custom_layers
