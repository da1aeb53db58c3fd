#include "clamp.h"

#include "param_ids.h"

namespace custom_layers
{

int Clamp::load_param(const ncnn::ParamDict& pd)
{
    ParamReader reader(*this, pd);
    min_ = reader.number(param::Clamp::min, "min", 0.f);
    max_ = reader.number(param::Clamp::max, "max", 1.f);
    if (reader.status() != 0)
        return -1;
    if (min_ > max_)
        return fail(*this, "expects min <= max, got min=%g max=%g", min_, max_);
    return Elementwise::load_param(pd);
}

int Clamp::forward_inplace(ncnn::Mat& bottom_top_blob, const ncnn::Option& opt) const
{
    const float low = min_;
    const float high = max_;
    return map(bottom_top_blob, opt, [low, high](float v) { return clamp_value(v, low, high); });
}

} // namespace custom_layers
