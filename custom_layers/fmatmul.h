// y = act(x * w^T + b); inputs [x, w] or [x, w, b].
//
// x is [in] -> y [out], or [rows, in] -> [rows, out]; w has out * in values, row after row, in any shape; b
// is [out].
#pragma once

#include "activation.h"
#include "gemm.h"

namespace custom_layers
{

class Fmatmul : public ncnn::Layer
{
public:
    int load_param(const ncnn::ParamDict& pd) override;
    int create_pipeline(const ncnn::Option& opt) override;
    int destroy_pipeline(const ncnn::Option& opt) override;
    int forward(const std::vector<ncnn::Mat>& bottom_blobs, std::vector<ncnn::Mat>& top_blobs,
                const ncnn::Option& opt) const override;

private:
    int num_output_ = 0;
    int weight_data_size_ = 0;
    bool bias_term_ = false;
    FusedActivation activation_;
    Gemm gemm_;
};

} // namespace custom_layers
