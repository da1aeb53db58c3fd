// torch.nn.functional.conv_transpose2d with weights that are inputs: [x, w] or [x, w, b].
//
// x [num_input, H, W]; w [num_input, num_output / group, kernel_h, kernel_w], torch's layout, or, where the
// file does not say num_input, [num_output, num_input / group, kernel_h, kernel_w], ncnn's; b [num_output];
// y [num_output, OH, OW], OH = (H - 1) * stride_h + dilation_h * (kernel_h - 1) + 1 + output_pad_bottom -
// pad_top
// - pad_bottom, and OW likewise.
#pragma once

#include "activation.h"
#include "gemm.h"

namespace custom_layers
{

class FconvTranspose2d : public ncnn::Layer
{
public:
    int load_param(const ncnn::ParamDict& pd) override;
    int create_pipeline(const ncnn::Option& opt) override;
    int destroy_pipeline(const ncnn::Option& opt) override;
    int forward(const std::vector<ncnn::Mat>& bottom_blobs, std::vector<ncnn::Mat>& top_blobs,
                const ncnn::Option& opt) const override;

private:
    // One axis of the geometry.
    struct Axis {
        int kernel, dilation, stride, pad_before, pad_after, output_pad;

        // Size of the output for `n` inputs, not positive when the padding eats all of it.
        int64_t output(int n) const;
        // Where input 0 lands under tap k, in the cropped output.
        int start(int k) const { return k * dilation - pad_before; }
    };

    struct Block; // some rows of the input, while they are being added to the output

    int check(const std::vector<ncnn::Mat>& blobs) const;
    ncnn::Mat in_torchs_order(const ncnn::Mat& w, const ncnn::Option& opt) const;
    void add_block(const Block& block, ncnn::Mat& top, ncnn::Mat& scratch, const ncnn::Option& opt) const;

    int num_output_ = 0;
    int num_input_ = 0;
    int group_ = 1;
    bool ncnns_order_ = false; // of the weight
    bool bias_term_ = false;
    Axis x_ = {};
    Axis y_ = {};
    FusedActivation activation_;
    Gemm gemm_;
};

} // namespace custom_layers
