#include "sin.h"

#include "param_ids.h"

#include <math.h>

namespace custom_layers
{

// Adding and subtracting this rounds a double of magnitude below 2^51 to the nearest integer, without a
// library call, so that the compiler can vectorise the loop.
static const double kRound = 6755399441055744.0; // 1.5 * 2^52

// sin(pi t) with an exact reduction: t is the exact product of two floats, so t - round(t) is exact, and the
// result is right to float precision at any magnitude, which sinf(pi * t) in float is not.
static inline double sin_pi(double t)
{
    const double k = (t + kRound) - kRound;
    const double half = k * 0.5;
    const double odd = fabs(k - 2.0 * ((half + kRound) - kRound)); // 1 for odd k, 0 for even
    const double z = (t - k) * 3.14159265358979323846;             // -pi/2 .. pi/2
    const double z2 = z * z;
    // The Taylor series up to z^13: its rest is below 1e-9 here.
    double s = 1.0 / 6227020800.0;
    s = s * z2 - 1.0 / 39916800.0;
    s = s * z2 + 1.0 / 362880.0;
    s = s * z2 - 1.0 / 5040.0;
    s = s * z2 + 1.0 / 120.0;
    s = s * z2 - 1.0 / 6.0;
    const double value = (z + z * z2 * s) * (1.0 - 2.0 * odd);
    // From 2^51 on t is an even number (48 significant bits): sin is 0. t - t is 0 there, and NaN for
    // infinity.
    return fabs(t) < 2251799813685248.0 ? value : t - t;
}

int Sin::load_param(const ncnn::ParamDict& pd)
{
    ParamReader reader(*this, pd);
    scale_ = reader.number(param::Sin::scale, "scale", 1.f);
    if (reader.status() != 0)
        return -1;
    return Elementwise::load_param(pd);
}

int Sin::forward_inplace(ncnn::Mat& bottom_top_blob, const ncnn::Option& opt) const
{
    const double scale = scale_;
    return map(bottom_top_blob, opt, [scale](float v) { return (float)sin_pi(scale * v); });
}

} // namespace custom_layers
