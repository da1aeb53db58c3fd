// y = act(scale * (conv(x, w) + bias) + residual), act(v) = v < 0 ? v * slope : v, with one slope or one for
// each channel; inputs [x...] or [x..., residual].
//
// x [I, H, W] of any size, in one blob or in several whose channels lie one behind the other, all but the
// last of which have a multiple of 16; y and residual [O, H', W']. Weights in the model file: w [O, I, kh,
// kw] (tagged: float32 or float16), bias [O] and slopes [O] (raw float32).
#pragma once

#include "conv.h"
#include "fir.h"

namespace custom_layers
{

class FusedConv2d : public ncnn::Layer
{
public:
    FusedConv2d();
    int load_param(const ncnn::ParamDict& pd) override;
    int load_model(const ncnn::ModelBin& mb) override;
    int create_pipeline(const ncnn::Option& opt) override;
    int forward(const std::vector<ncnn::Mat>& bottom_blobs, std::vector<ncnn::Mat>& top_blobs,
                const ncnn::Option& opt) const override;

private:
    // x as one or more blobs of one size.
    int check_parts(const std::vector<ncnn::Mat>& blobs, int parts) const;

    Conv conv_;
    bool bias_term_ = false;
    bool residual_ = false;
    int slopes_size_ = 0;
    FirActivation activation_;
    ncnn::Mat weight_; // until create_pipeline has transformed it
    ncnn::Mat bias_;
    ncnn::Mat slopes_;
    ncnn::Mat scale_; // [O], all the same; empty: 1
};

} // namespace custom_layers
