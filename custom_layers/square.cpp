#include "square.h"

namespace custom_layers
{

int Square::forward_inplace(ncnn::Mat& bottom_top_blob, const ncnn::Option& opt) const
{
    return map(bottom_top_blob, opt, [](float v) { return v * v; });
}

} // namespace custom_layers
