// y = clamp(lrelu(d * conv(w, s * x) + noise + b) * act_gain); inputs [x, s] or [x, s, noise].
//
// x [I, H, W] of the size in the param file; s [I]; noise [H', W'] for all channels, an input or a constant;
// y [O, H', W']. d[o] = gain, or with demodulation gain * rsqrt(sum over i, k of (w[o, i, k] * s[i])^2 +
// 1e-8). Weights in the model file: w [O, I, kh, kw] and the noise (tagged: float32 or float16), b [O] and
// the filter of up = 2 (raw float32).
#pragma once

#include "conv.h"
#include "fir.h"

namespace custom_layers
{

class ModulatedConv2d : public ncnn::Layer
{
public:
    ModulatedConv2d();
    int load_param(const ncnn::ParamDict& pd) override;
    int load_model(const ncnn::ModelBin& mb) override;
    int create_pipeline(const ncnn::Option& opt) override;
    int forward(const std::vector<ncnn::Mat>& bottom_blobs, std::vector<ncnn::Mat>& top_blobs,
                const ncnn::Option& opt) const override;

private:
    enum Noise { kNone, kConstant, kInput };

    // factors[o] = d[o]; 0, or -1 when out of memory.
    int demodulation(const float* styles, float* factors, const ncnn::Option& opt) const;

    Conv conv_;
    Noise noise_ = kNone;
    bool demodulate_ = false;
    float gain_ = 1.f;
    bool bias_term_ = false;
    int filter_size_ = 0;
    FirActivation activation_;
    ncnn::Mat weight_; // until create_pipeline has transformed it
    ncnn::Mat plane_;
    ncnn::Mat bias_;
    ncnn::Mat squares_; // [O, I]: sum over k of w^2
};

} // namespace custom_layers
