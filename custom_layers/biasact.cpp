#include "biasact.h"

#include "param_ids.h"

#include <math.h>

namespace custom_layers
{

int BiasAct::load_param(const ncnn::ParamDict& pd)
{
    ParamReader reader(*this, pd);
    act_ = reader.integer(param::BiasAct::act, "act", 0, 0, 8);
    alpha_ = reader.number(param::BiasAct::alpha, "alpha", 0.f);
    gain_ = reader.number(param::BiasAct::gain, "gain", 1.f);
    clamp_ = reader.number(param::BiasAct::clamp, "clamp", -1.f);
    bias_term_ = reader.integer(param::BiasAct::bias_term, "bias_term", 0, 0, 1) != 0;
    if (reader.status() != 0)
        return -1;
    one_blob_only = !bias_term_;
    const int inputs = bias_term_ ? 2 : 1;
    return check_io(*this, inputs, inputs, 1, 1);
}

// x + b, through f. What b belongs to depends on the rank and on the packing.
template <typename F>
static void map_biased(ncnn::Mat& x, const float* bias, const ncnn::Option& opt, const F& f)
{
    const int pack = x.elempack;
    if (!bias) {
        map_values(x, opt, f);
    } else if (x.dims == 1) {
        for_each_piece(x, opt, [&f, bias](float* values, size_t count, int, size_t offset) {
            const F local = f; // see map_values
            for (size_t i = 0; i < count; i++)
                values[i] = local(values[i] + bias[offset + i]);
        });
    } else if (x.dims == 2) {
        // Packed by rows: the lanes of one element share a feature.
#pragma omp parallel for num_threads(opt.num_threads)
        for (int y = 0; y < x.h; y++) {
            const F local = f;
            float* values = (float*)x.data + (size_t)y * x.w * pack;
            if (pack == 1) {
                for (int i = 0; i < x.w; i++)
                    values[i] = local(values[i] + bias[i]);
            } else {
                for (int i = 0; i < x.w * pack; i++)
                    values[i] = local(values[i] + bias[i / pack]);
            }
        }
    } else {
        for_each_piece(x, opt, [&f, bias, pack](float* values, size_t count, int channel, size_t) {
            const F local = f;
            // 16 is a multiple of every packing: lane k of a group of 16 always has channel k % pack.
            float lanes[16];
            for (int k = 0; k < 16; k++)
                lanes[k] = bias[channel * pack + k % pack];
            size_t i = 0;
            for (; i + 16 <= count; i += 16) {
                for (int k = 0; k < 16; k++)
                    values[i + k] = local(values[i + k] + lanes[k]);
            }
            for (int k = 0; i < count; i++, k++)
                values[i] = local(values[i] + lanes[k]);
        });
    }
}

int BiasAct::run(ncnn::Mat& x, const float* bias, const ncnn::Option& opt) const
{
    const float alpha = alpha_;
    const float gain = gain_;
    const float high = clamp_ < 0.f ? INFINITY : clamp_;
    const auto with = [&](const auto& act) {
        map_biased(x, bias, opt,
                   [act, gain, high](float v) { return clamp_value(act(v) * gain, -high, high); });
        return 0;
    };
    switch (act_) {
    case 0:
        return with([](float v) { return v; });
    case 1:
        return with([](float v) { return v < 0.f ? 0.f : v; });
    case 2:
        return with([alpha](float v) { return v < 0.f ? v * alpha : v; });
    case 3:
        return with([](float v) { return tanhf(v); });
    case 4:
        return with([](float v) { return 1.f / (1.f + expf(-v)); });
    case 5:
        return with([](float v) { return v > 0.f ? v : expm1f(v); });
    case 6: // the constants of torch.nn.SELU
        return with(
            [](float v) { return 1.0507009873554805f * (v > 0.f ? v : 1.6732632423543772f * expm1f(v)); });
    case 7: // linear above 20, as torch.nn.Softplus, where e^v would overflow soon
        return with([](float v) { return v > 20.f ? v : log1pf(expf(v)); });
    default:
        return with([](float v) { return v / (1.f + expf(-v)); });
    }
}

int BiasAct::forward_inplace(ncnn::Mat& bottom_top_blob, const ncnn::Option& opt) const
{
    if (bias_term_)
        return fail(*this, "expects 2 inputs, got 1: %s", shape_string(bottom_top_blob).c_str());
    if (check_blob(*this, bottom_top_blob) != 0)
        return -1;
    return run(bottom_top_blob, nullptr, opt);
}

int BiasAct::forward_inplace(std::vector<ncnn::Mat>& bottom_top_blobs, const ncnn::Option& opt) const
{
    const int inputs = bias_term_ ? 2 : 1;
    if (check_blobs(*this, bottom_top_blobs, inputs, inputs) != 0)
        return -1;
    ncnn::Mat& x = bottom_top_blobs[0];
    if (!bias_term_)
        return run(x, nullptr, opt);

    const ncnn::Mat& bias = bottom_top_blobs[1];
    const int expected = x.dims == 2 ? x.w : outer_size(x);
    if (bias.dims != 1 || outer_size(bias) != expected)
        return fail(*this, "expects a bias of [%d] for x of %s, got %s", expected, shape_string(x).c_str(),
                    shape_string(bias).c_str());
    return run(x, bias, opt);
}

} // namespace custom_layers
