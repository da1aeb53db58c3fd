// What Down2, Up2 and Up4 share: pixels of one or more packed channels, moved as they are.
#pragma once

#include "checks.h"

namespace custom_layers
{

class Resample : public ncnn::Layer
{
public:
    Resample()
    {
        one_blob_only = true;
        support_packing = true;
    }

    int load_param(const ncnn::ParamDict&) override { return check_io(*this, 1, 1, 1, 1); }

protected:
    // y[i, j] = x[factor * i, factor * j]: [C, H, W] -> [C, ceil(H / factor), ceil(W / factor)]
    int decimate(const ncnn::Mat& x, ncnn::Mat& y, int factor, const ncnn::Option& opt) const;

    // y[factor * i, factor * j] = x[i, j] and zero elsewhere: [C, H, W] -> [C, factor * H, factor * W]
    int insert_zeros(const ncnn::Mat& x, ncnn::Mat& y, int factor, const ncnn::Option& opt) const;

private:
    int create(const ncnn::Mat& x, ncnn::Mat& y, int w, int h, const ncnn::Option& opt) const;
};

} // namespace custom_layers
