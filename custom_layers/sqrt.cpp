#include "sqrt.h"

#include "param_ids.h"

#include <math.h>

namespace custom_layers
{

int Sqrt::load_param(const ncnn::ParamDict& pd)
{
    ParamReader reader(*this, pd);
    eps_ = reader.number(param::Sqrt::eps, "eps", 0.f);
    if (reader.status() != 0)
        return -1;
    return Elementwise::load_param(pd);
}

int Sqrt::forward_inplace(ncnn::Mat& bottom_top_blob, const ncnn::Option& opt) const
{
    const float eps = eps_;
    return map(bottom_top_blob, opt, [eps](float v) { return sqrtf(eps + v); });
}

} // namespace custom_layers
