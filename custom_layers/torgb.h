// rgb = clamp(w * (s * x) + b), y = rgb + up2(image); inputs [x, s] or [x, s, image], outputs [y] or [y,
// rgb].
//
// x [I, H, W] of the size in the param file; s [I]; image [O, H / 2, W / 2], upsampled by zeros and a filter;
// y [O, H, W]. Weights in the model file: w [O, I] (tagged: float32 or float16), b [O] and the filter [n],
// along both axes (raw float32).
#pragma once

#include "conv.h"
#include "fir.h"

namespace custom_layers
{

class ToRGB : public ncnn::Layer
{
public:
    ToRGB();
    int load_param(const ncnn::ParamDict& pd) override;
    int load_model(const ncnn::ModelBin& mb) override;
    int create_pipeline(const ncnn::Option& opt) override;
    int forward(const std::vector<ncnn::Mat>& bottom_blobs, std::vector<ncnn::Mat>& top_blobs,
                const ncnn::Option& opt) const override;

private:
    Conv conv_;
    Fir fir_;
    bool bias_term_ = false;
    int filter_size_ = 0; // 0: no image
    bool keep_rgb_ = false;
    FirActivation activation_;
    ncnn::Mat weight_; // until create_pipeline has laid it out
    ncnn::Mat bias_;
};

} // namespace custom_layers
