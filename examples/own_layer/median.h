// A layer that ncnn does not have: the median of the window around each number. Plain ncnn, nothing of ours:
// an app registers it with net.register_custom_layer("Median", create).
#pragma once

#include <layer.h>

class Median : public ncnn::Layer
{
public:
    Median();
    int load_param(const ncnn::ParamDict& pd) override;
    int forward(const ncnn::Mat& bottom_blob, ncnn::Mat& top_blob, const ncnn::Option& opt) const override;

private:
    int radius;
};
