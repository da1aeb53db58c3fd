// A weight, and its bias, as blobs: what Fmatmul, Fconv2d and their kin take as inputs.
//
// Inputs: none, or one that is ignored (it only orders the layers). Outputs: the weight, and with bias_term
// the bias. The weight is [C, D, H, W] and comes out with `dims` dimensions: 4 as it is; 3 [C, H, W]; 2 [H,
// W]; 1 [W]; a size that is dropped must be 1. In the model file: the weight tagged (float32 or float16),
// then the bias [C] raw.
//
// The blobs are shaped once, at load, and handed out by reference. ncnn clones a blob that is referenced
// elsewhere before a layer may write to it, and these always are (by this layer): nothing downstream can
// change the weight.
#pragma once

#include "checks.h"

namespace custom_layers
{

class Shell : public ncnn::Layer
{
public:
    int load_param(const ncnn::ParamDict& pd) override;
    int load_model(const ncnn::ModelBin& mb) override;
    int forward(const std::vector<ncnn::Mat>& bottom_blobs, std::vector<ncnn::Mat>& top_blobs,
                const ncnn::Option& opt) const override;

private:
    int w_ = 0;
    int h_ = 0;
    int d_ = 0;
    int c_ = 0;
    int dims_ = 4;
    bool bias_term_ = false;
    int weight_data_size_ = 0;
    ncnn::Mat weight_;
    ncnn::Mat bias_;
};

} // namespace custom_layers
