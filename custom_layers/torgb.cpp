#include "torgb.h"

#include "param_ids.h"

#include <math.h>

namespace custom_layers
{

ToRGB::ToRGB() { support_packing = true; }

int ToRGB::load_param(const ncnn::ParamDict& pd)
{
    using P = param::ToRGB;
    ParamReader reader(*this, pd);
    const int most = 1 << 15; // products of two fit an int
    conv_.outputs = reader.integer(P::num_output, "num_output", 0, 1, most);
    conv_.inputs = reader.integer(P::num_input, "num_input", 0, 1, most);
    conv_.height = reader.integer(P::height, "height", 0, 1, most);
    conv_.width = reader.integer(P::width, "width", 0, 1, most);
    const int bias_data_size = reader.integer(P::bias_data_size, "bias_data_size", 0, 0);
    const float clamp = reader.number(P::clamp, "clamp", -1.f);
    filter_size_ = reader.integer(P::filter_size, "filter_size", 0, 0, FirFilter::kMostTaps);
    keep_rgb_ = reader.integer(P::keep_rgb, "keep_rgb", 0, 0, 1) != 0;
    if (reader.status() != 0)
        return -1;
    if (conv_.check_sizes(*this) != 0)
        return -1;
    if (bias_data_size != 0 && bias_data_size != conv_.outputs)
        return fail(*this, "expects bias_data_size of 0 or num_output, got %d for %d", bias_data_size,
                    conv_.outputs);
    if (filter_size_ > 0 && (conv_.height % 2 != 0 || conv_.width % 2 != 0))
        return fail(*this, "expects an even size with an image, got %dx%d", conv_.height, conv_.width);
    bias_term_ = bias_data_size != 0;
    activation_.limit = clamp < 0.f ? INFINITY : clamp;
    fir_.y.up = fir_.x.up = 2;
    fir_.y.before = fir_.x.before = (filter_size_ + 1) / 2;
    fir_.y.after = fir_.x.after = filter_size_ / 2 - 1;
    const int inputs = filter_size_ > 0 ? 3 : 2;
    const int outputs = keep_rgb_ ? 2 : 1;
    return check_io(*this, inputs, inputs, outputs, outputs);
}

int ToRGB::load_model(const ncnn::ModelBin& mb)
{
    if (load_tagged(*this, mb, "weight", conv_.outputs * conv_.inputs, weight_) != 0)
        return -1;
    if (load_or_zeros(*this, mb, "bias", bias_term_, conv_.outputs, bias_) != 0)
        return -1;
    ncnn::Mat filter;
    if (load_values(*this, mb, "f", filter_size_, filter) != 0)
        return -1;
    fir_.up.set(filter, 0, filter_size_, false, 4.f);
    return 0;
}

int ToRGB::create_pipeline(const ncnn::Option& opt)
{
    ncnn::Option whole = opt; // few outputs take their weights as floats
    whole.use_fp16_arithmetic = whole.use_fp16_storage = false;
    return conv_.create(*this, weight_, whole);
}

int ToRGB::forward(const std::vector<ncnn::Mat>& bottom_blobs, std::vector<ncnn::Mat>& top_blobs,
                   const ncnn::Option& opt) const
{
    const bool image = filter_size_ > 0;
    const int inputs = image ? 3 : 2;
    if (check_blobs(*this, bottom_blobs, inputs, inputs) != 0)
        return -1;
    const ncnn::Mat& x = bottom_blobs[0];
    if (conv_.check_inputs(*this, x, bottom_blobs[1]) != 0)
        return -1;

    ncnn::Mat& y = top_blobs[0];
    const int pack = image ? bottom_blobs[2].elempack : best_packing(conv_.outputs, opt);
    if (image) {
        const ncnn::Mat& from = bottom_blobs[2];
        if (from.dims != 3 || outer_size(from) != conv_.outputs || from.h * 2 != x.h || from.w * 2 != x.w)
            return fail(*this, "expects an image of [%d, %d, %d], got %s", conv_.outputs, x.h / 2, x.w / 2,
                        shape_string(from).c_str());
        if (fir_.run(*this, from, nullptr, y, opt) != 0)
            return -1;
    }
    ncnn::Mat rgb;
    rgb.create(x.w, x.h, conv_.outputs / pack, 4u * pack, pack,
               image && !keep_rgb_ ? opt.workspace_allocator : opt.blob_allocator);
    ConvArguments arguments;
    arguments.x = &x;
    arguments.scale_in = bottom_blobs[1];
    arguments.bias = bias_;
    arguments.activation = activation_;
    if (rgb.empty() || conv_.run(arguments, rgb, opt) != 0)
        return fail(*this, "out of memory for y of [%d, %d, %d]", conv_.outputs, x.h, x.w);
    if (keep_rgb_)
        top_blobs[1] = rgb;
    if (!image) {
        y = rgb;
        return 0;
    }
    const size_t size = (size_t)x.w * x.h * pack;
    for (int c = 0; c < y.c; c++) {
        float* to = y.channel(c);
        const float* from = rgb.channel(c);
        for (size_t i = 0; i < size; i++)
            to[i] += from[i];
    }
    return 0;
}

} // namespace custom_layers
