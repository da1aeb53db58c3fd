#include "styleganpost.h"

namespace custom_layers
{

int StyleganPost::forward_inplace(ncnn::Mat& bottom_top_blob, const ncnn::Option& opt) const
{
    return map(bottom_top_blob, opt, [](float v) { return clamp_value(v * 127.5f + 128.f, 0.f, 255.f); });
}

} // namespace custom_layers
