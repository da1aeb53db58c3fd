#include "abs.h"

#include <math.h>

namespace custom_layers
{

int Abs::forward_inplace(ncnn::Mat& bottom_top_blob, const ncnn::Option& opt) const
{
    return map(bottom_top_blob, opt, [](float v) { return fabsf(v); });
}

} // namespace custom_layers
