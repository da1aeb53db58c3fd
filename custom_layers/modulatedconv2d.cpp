#include "modulatedconv2d.h"

#include "param_ids.h"

#include <math.h>

namespace custom_layers
{

ModulatedConv2d::ModulatedConv2d() { support_packing = true; }

int ModulatedConv2d::load_param(const ncnn::ParamDict& pd)
{
    using P = param::ModulatedConv2d;
    ParamReader reader(*this, pd);
    // Large enough for any network, small enough that products of two fit an int.
    const int most = 1 << 15;
    conv_.outputs = reader.integer(P::num_output, "num_output", 0, 1, most);
    conv_.inputs = reader.integer(P::num_input, "num_input", 0, 1, most);
    conv_.kernel_h = reader.integer(P::kernel_h, "kernel_h", 1, 1, 64);
    conv_.kernel_w = reader.integer(P::kernel_w, "kernel_w", 1, 1, 64);
    conv_.up = reader.integer(P::up, "up", 1, 1, 2);
    conv_.set_padding(reader.integer(P::padding, "padding", 0, 0, most));
    conv_.height = reader.integer(P::height, "height", 0, 1, most);
    conv_.width = reader.integer(P::width, "width", 0, 1, most);
    demodulate_ = reader.integer(P::demodulate, "demodulate", 0, 0, 1) != 0;
    gain_ = reader.number(P::gain, "gain", 1.f);
    noise_ = (Noise)reader.integer(P::noise, "noise", 0, 0, 2);
    const int bias_data_size = reader.integer(P::bias_data_size, "bias_data_size", 0, 0);
    const float slope = reader.number(P::slope, "slope", 1.f);
    const float act_gain = reader.number(P::act_gain, "act_gain", 1.f);
    const float clamp = reader.number(P::clamp, "clamp", -1.f);
    filter_size_ = reader.integer(P::filter_size, "filter_size", 0, 0, FirFilter::kMostTaps);
    if (reader.status() != 0)
        return -1;
    if (conv_.up == 2 && (conv_.kernel_h != 3 || conv_.kernel_w != 3))
        return fail(*this, "expects a kernel of 3x3 for up=2, got %dx%d", conv_.kernel_h, conv_.kernel_w);
    if ((conv_.up == 2) != (filter_size_ > 0))
        return fail(*this, "expects a filter for up=2 only, got filter_size=%d for up=%d", filter_size_,
                    conv_.up);
    if (conv_.check_sizes(*this) != 0)
        return -1;
    if (bias_data_size != 0 && bias_data_size != conv_.outputs)
        return fail(*this, "expects bias_data_size of 0 or num_output, got %d for %d", bias_data_size,
                    conv_.outputs);
    bias_term_ = bias_data_size != 0;
    activation_.positive = act_gain;
    activation_.negative = act_gain * slope;
    activation_.limit = clamp < 0.f ? INFINITY : clamp;
    const int inputs = noise_ == kInput ? 3 : 2;
    return check_io(*this, inputs, inputs, 1, 1);
}

int ModulatedConv2d::load_model(const ncnn::ModelBin& mb)
{
    const int taps = conv_.kernel_h * conv_.kernel_w;
    if (load_tagged(*this, mb, "weight", conv_.outputs * conv_.inputs * taps, weight_) != 0)
        return -1;
    if (noise_ == kConstant &&
        load_tagged(*this, mb, "noise", conv_.out_height() * conv_.out_width(), plane_) != 0)
        return -1;
    if (load_or_zeros(*this, mb, "bias", bias_term_, conv_.outputs, bias_) != 0)
        return -1;
    ncnn::Mat filter;
    if (load_values(*this, mb, "f", filter_size_, filter) != 0)
        return -1;
    // In correlation order. Upsampling by two along an axis takes a gain of two.
    conv_.filter.clear();
    for (int k = 0; k < filter_size_; k++)
        conv_.filter.push_back(2.f * filter[filter_size_ - 1 - k]);

    if (demodulate_) {
        squares_.create(conv_.inputs, conv_.outputs);
        if (squares_.empty())
            return -1;
#pragma omp parallel for
        for (int o = 0; o < conv_.outputs; o++) {
            const float* w = (const float*)weight_ + (size_t)o * conv_.inputs * taps;
            float* to = squares_.row(o);
            for (int i = 0; i < conv_.inputs; i++, w += taps) {
                float sum = 0.f;
                for (int k = 0; k < taps; k++)
                    sum += w[k] * w[k];
                to[i] = sum;
            }
        }
    }
    return 0;
}

int ModulatedConv2d::create_pipeline(const ncnn::Option& opt) { return conv_.create(*this, weight_, opt); }

int ModulatedConv2d::demodulation(const float* styles, float* factors, const ncnn::Option& opt) const
{
    ncnn::Mat energy(conv_.inputs, (size_t)4u, opt.workspace_allocator);
    if (energy.empty())
        return -1;
    for (int i = 0; i < conv_.inputs; i++)
        energy[i] = styles[i] * styles[i];
    for (int o = 0; o < conv_.outputs; o++) {
        // Eight sums side by side: vector registers to fill, and less rounding error than one running sum.
        float sums[8] = {};
        const float* row = squares_.row(o);
        const float* e = energy;
        int i = 0;
        for (; i + 8 <= conv_.inputs; i += 8) {
            for (int k = 0; k < 8; k++)
                sums[k] += row[i + k] * e[i + k];
        }
        for (; i < conv_.inputs; i++)
            sums[0] += row[i] * e[i];
        const float sum =
            ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
        factors[o] = gain_ / sqrtf(sum + 1e-8f);
    }
    return 0;
}

int ModulatedConv2d::forward(const std::vector<ncnn::Mat>& bottom_blobs, std::vector<ncnn::Mat>& top_blobs,
                             const ncnn::Option& opt) const
{
    const int inputs = noise_ == kInput ? 3 : 2;
    if (check_blobs(*this, bottom_blobs, inputs, inputs) != 0)
        return -1;
    const ncnn::Mat& x = bottom_blobs[0];
    if (conv_.check_inputs(*this, x, bottom_blobs[1]) != 0)
        return -1;
    ncnn::Mat noise = plane_;
    if (noise_ == kInput) {
        if (value_count(bottom_blobs[2]) != (size_t)conv_.out_height() * conv_.out_width())
            return fail(*this, "expects noise of [%d, %d], got %s", conv_.out_height(), conv_.out_width(),
                        shape_string(bottom_blobs[2]).c_str());
        noise = flatten(bottom_blobs[2], opt);
        if (noise.empty())
            return fail(*this, "out of memory for the noise");
    }

    const float* styles = bottom_blobs[1]; // a packed vector lies in order
    ncnn::Mat factors(conv_.outputs, (size_t)4u, opt.workspace_allocator);
    if (factors.empty() || (demodulate_ && demodulation(styles, factors, opt) != 0))
        return fail(*this, "out of memory for the factors of %d channels", conv_.outputs);
    if (!demodulate_)
        factors.fill(gain_);

    ncnn::Mat& y = top_blobs[0];
    const int pack = best_packing(conv_.outputs, opt);
    y.create(conv_.out_width(), conv_.out_height(), conv_.outputs / pack, 4u * pack, pack,
             opt.blob_allocator);
    ConvArguments arguments;
    arguments.x = &x;
    arguments.scale_in = styles;
    arguments.scale_out = factors;
    arguments.bias = bias_;
    arguments.noise = noise;
    arguments.activation = activation_;
    if (y.empty() || conv_.run(arguments, y, opt) != 0)
        return fail(*this, "out of memory for y of [%d, %d, %d]", conv_.outputs, conv_.out_height(),
                    conv_.out_width());
    return 0;
}

} // namespace custom_layers
