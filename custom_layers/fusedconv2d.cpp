#include "fusedconv2d.h"

#include "param_ids.h"

#include <algorithm>

namespace custom_layers
{
namespace
{
// Large enough for any network, small enough that products of two fit an int.
const int kMost = 1 << 15;
const int kMostParts = 1 << 10;
// Where the size is known only when the net runs: large pictures take the most time.
const int kLarge = 256;
} // namespace

FusedConv2d::FusedConv2d() { support_packing = true; }

int FusedConv2d::load_param(const ncnn::ParamDict& pd)
{
    using P = param::FusedConv2d;
    ParamReader reader(*this, pd);
    conv_.outputs = reader.integer(P::num_output, "num_output", 0, 1, kMost);
    conv_.inputs = reader.integer(P::num_input, "num_input", 0, 1, kMost);
    conv_.kernel_h = reader.integer(P::kernel_h, "kernel_h", 1, 1, 64);
    conv_.kernel_w = reader.integer(P::kernel_w, "kernel_w", 1, 1, 64);
    conv_.pad_top = reader.integer(P::pad_top, "pad_top", 0, 0, kMost);
    conv_.pad_bottom = reader.integer(P::pad_bottom, "pad_bottom", 0, 0, kMost);
    conv_.pad_left = reader.integer(P::pad_left, "pad_left", 0, 0, kMost);
    conv_.pad_right = reader.integer(P::pad_right, "pad_right", 0, 0, kMost);
    conv_.height = reader.integer(P::height, "height", 0, 0, kMost);
    conv_.width = reader.integer(P::width, "width", 0, 0, kMost);
    const int bias_data_size = reader.integer(P::bias_data_size, "bias_data_size", 0, 0);
    const float scale = reader.number(P::scale, "scale", 1.f);
    residual_ = reader.integer(P::residual, "residual", 0, 0, 1) != 0;
    activation_.negative = reader.number(P::slope, "slope", 1.f);
    slopes_size_ = reader.integer(P::slope_data_size, "slope_data_size", 0, 0);
    if (reader.status() != 0)
        return -1;
    if (conv_.height == 0)
        conv_.height = std::max(kLarge, conv_.kernel_h);
    if (conv_.width == 0)
        conv_.width = std::max(kLarge, conv_.kernel_w);
    if (conv_.check_sizes(*this) != 0)
        return -1;
    if (bias_data_size != 0 && bias_data_size != conv_.outputs)
        return fail(*this, "expects bias_data_size of 0 or num_output, got %d for %d", bias_data_size,
                    conv_.outputs);
    if (slopes_size_ != 0 && slopes_size_ != conv_.outputs)
        return fail(*this, "expects slope_data_size of 0 or num_output, got %d for %d", slopes_size_,
                    conv_.outputs);
    bias_term_ = bias_data_size != 0;
    scale_.release();
    if (scale != 1.f) {
        scale_.create(conv_.outputs);
        if (scale_.empty())
            return fail(*this, "out of memory for the factors of %d channels", conv_.outputs);
        scale_.fill(scale);
    }
    return check_io(*this, 1 + residual_, kMostParts + residual_, 1, 1);
}

int FusedConv2d::load_model(const ncnn::ModelBin& mb)
{
    const int taps = conv_.kernel_h * conv_.kernel_w;
    if (load_tagged(*this, mb, "weight", conv_.outputs * conv_.inputs * taps, weight_) != 0 ||
        load_or_zeros(*this, mb, "bias", bias_term_, conv_.outputs, bias_) != 0 ||
        load_values(*this, mb, "slopes", slopes_size_, slopes_) != 0)
        return -1;
    if (!scale_.empty()) {
        bias_ = bias_.clone(); // the model's own memory may be read only
        if (bias_.empty())
            return fail(*this, "out of memory for the bias");
        for (int o = 0; o < conv_.outputs; o++)
            bias_[o] *= scale_[o];
    }
    return 0;
}

int FusedConv2d::create_pipeline(const ncnn::Option& opt) { return conv_.create(*this, weight_, opt); }

int FusedConv2d::check_parts(const std::vector<ncnn::Mat>& blobs, int parts) const
{
    const ncnn::Mat& x = blobs[0];
    int64_t channels = 0;
    bool fits = true;
    for (int i = 0; i < parts; i++) {
        const ncnn::Mat& part = blobs[i];
        fits = fits && part.dims == 3 && part.h == x.h && part.w == x.w &&
               (i == parts - 1 || outer_size(part) % kConvLanes == 0);
        channels += outer_size(part);
    }
    if (!fits || channels != conv_.inputs)
        return fail(*this, "expects x of [%d, H, W], in parts of multiples of %d channels, got %s",
                    conv_.inputs, (int)kConvLanes, shape_string(blobs).c_str());
    return conv_.check_size(*this, x.h, x.w);
}

int FusedConv2d::forward(const std::vector<ncnn::Mat>& bottom_blobs, std::vector<ncnn::Mat>& top_blobs,
                         const ncnn::Option& opt) const
{
    if (check_blobs(*this, bottom_blobs, 1 + residual_, kMostParts + residual_) != 0)
        return -1;
    if (!conv_.prepared())
        return fail(*this, "create_pipeline was not called");
    const int parts = (int)bottom_blobs.size() - residual_;
    if (check_parts(bottom_blobs, parts) != 0)
        return -1;
    const int h = conv_.out_height(bottom_blobs[0].h), w = conv_.out_width(bottom_blobs[0].w);
    const int pack = best_packing(conv_.outputs, opt);
    ConvArguments arguments;
    ncnn::Mat residual;
    if (residual_) {
        residual = bottom_blobs.back();
        if (residual.dims != 3 || outer_size(residual) != conv_.outputs || residual.h != h || residual.w != w)
            return fail(*this, "expects a residual of [%d, %d, %d], got %s", conv_.outputs, h, w,
                        shape_string(residual).c_str());
        if (residual.elempack != pack)
            ncnn::convert_packing(bottom_blobs.back(), residual, pack, helper_option(opt));
        if (residual.empty())
            return fail(*this, "out of memory for the residual");
        arguments.residual = &residual;
    }
    arguments.x = bottom_blobs.data();
    arguments.parts = parts;
    arguments.scale_out = scale_.empty() ? nullptr : (const float*)scale_;
    arguments.bias = bias_;
    arguments.negative = slopes_size_ ? (const float*)slopes_ : nullptr;
    arguments.activation = activation_;
    ncnn::Mat& y = top_blobs[0];
    y.create(w, h, conv_.outputs / pack, 4u * pack, pack, opt.blob_allocator);
    if (y.empty() || conv_.run(arguments, y, opt) != 0)
        return fail(*this, "out of memory for y of [%d, %d, %d]", conv_.outputs, h, w);
    return 0;
}

} // namespace custom_layers
