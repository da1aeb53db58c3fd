// One style out of two: y = ws0 + m * (ws1 - ws0) with m = mixing[ws_i]; m 0 gives ws0 and m 1 gives ws1,
// exactly.
//
// Inputs [ws0, ws1, mixing]: ws0 and ws1 are each [w_dim] or [num_ws, w_dim] (row ws_i is taken), mixing is
// [num_ws]. Output [w_dim].
#pragma once

#include "checks.h"

namespace custom_layers
{

class StyleMixingSwitcher : public ncnn::Layer
{
public:
    int load_param(const ncnn::ParamDict& pd) override;
    int forward(const std::vector<ncnn::Mat>& bottom_blobs, std::vector<ncnn::Mat>& top_blobs,
                const ncnn::Option& opt) const override;

private:
    int ws_i_ = 0;
};

} // namespace custom_layers
