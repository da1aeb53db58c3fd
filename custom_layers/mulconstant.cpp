#include "mulconstant.h"

#include "param_ids.h"

namespace custom_layers
{

int MulConstant::load_param(const ncnn::ParamDict& pd)
{
    ParamReader reader(*this, pd);
    scale_ = reader.number(param::MulConstant::scale, "scale", 1.f);
    bias_ = reader.number(param::MulConstant::bias, "bias", 0.f);
    if (reader.status() != 0)
        return -1;
    return Elementwise::load_param(pd);
}

int MulConstant::forward_inplace(ncnn::Mat& bottom_top_blob, const ncnn::Option& opt) const
{
    const float scale = scale_;
    const float bias = bias_;
    return map(bottom_top_blob, opt, [scale, bias](float v) { return scale * v + bias; });
}

} // namespace custom_layers
