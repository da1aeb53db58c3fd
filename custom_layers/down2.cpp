#include "down2.h"

namespace custom_layers
{

int Down2::forward(const ncnn::Mat& bottom_blob, ncnn::Mat& top_blob, const ncnn::Option& opt) const
{
    return decimate(bottom_blob, top_blob, 2, opt);
}

} // namespace custom_layers
