#include "rsqrt.h"

#include "param_ids.h"

#include <math.h>

namespace custom_layers
{

int Rsqrt::load_param(const ncnn::ParamDict& pd)
{
    ParamReader reader(*this, pd);
    eps_ = reader.number(param::Rsqrt::eps, "eps", 0.f);
    scale_ = reader.number(param::Rsqrt::scale, "scale", 1.f);
    if (reader.status() != 0)
        return -1;
    return Elementwise::load_param(pd);
}

int Rsqrt::forward_inplace(ncnn::Mat& bottom_top_blob, const ncnn::Option& opt) const
{
    const float eps = eps_;
    const float scale = scale_;
    return map(bottom_top_blob, opt, [eps, scale](float v) { return 1.f / sqrtf(eps + v * scale); });
}

} // namespace custom_layers
