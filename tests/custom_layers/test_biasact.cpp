#include "check.h"
#include "net.h"

#include <custom_layers/biasact.h>

#include <math.h>

static double activation(int act, double v, double alpha)
{
    switch (act) {
    case 0:
        return v;
    case 1:
        return v > 0 ? v : 0;
    case 2:
        return v > 0 ? v : alpha * v;
    case 3:
        return tanh(v);
    case 4:
        return 1 / (1 + exp(-v));
    case 5:
        return v > 0 ? v : exp(v) - 1;
    case 6:
        return 1.0507009873554805 * (v > 0 ? v : 1.6732632423543772 * (exp(v) - 1));
    case 7:
        return v > 20 ? v : log(1 + exp(v));
    default:
        return v / (1 + exp(-v));
    }
}

static ncnn::Mat expected(const ncnn::Mat& x, const float* bias, int act, double alpha, double gain,
                          double clamp)
{
    ncnn::Mat y = x.clone();
    for (int c = 0; c < x.c; c++) {
        float* values = (float*)y.data + y.cstep * c;
        for (int i = 0; i < x.w * x.h * x.d; i++) {
            const double b = bias ? bias[x.dims > 2 ? c : i % x.w] : 0;
            double v = activation(act, values[i] + b, alpha) * gain;
            if (clamp >= 0)
                v = v < -clamp ? -clamp : v > clamp ? clamp : v;
            values[i] = (float)v;
        }
    }
    return y;
}

static std::string params(int act, float alpha, float gain, float clamp, bool bias)
{
    return text("0=%d 1=%s 2=%s 3=%s 4=%d", act, num(alpha).c_str(), num(gain).c_str(), num(clamp).c_str(),
                bias);
}

static const std::vector<std::vector<int>> kShapes = {
    {1},       {7},       {64},       {1, 5},     {6, 7},       {16, 12},      {1, 4, 5},   {3, 5, 7},
    {4, 3, 3}, {8, 1, 9}, {24, 5, 5}, {32, 6, 7}, {5, 2, 3, 3}, {16, 2, 3, 1}, {48, 23, 19}};

static int features(const std::vector<int>& shape) { return shape.size() == 2 ? shape[1] : shape[0]; }

TEST(biasact, all_activations)
{
    for (const std::vector<int>& shape : kShapes) {
        const ncnn::Mat x = random_mat(shape, 3, -4.f, 4.f);
        const ncnn::Mat b = random_mat({features(shape)}, 4);
        for (int act = 0; act <= 8; act++) {
            for (int option = 0; option < 4; option++) {
                const bool bias = option % 2 == 0;
                const float alpha = 0.2f;
                const float gain = option < 2 ? 1.41421356f : 1.f;
                const float clamp = option < 2 ? 1.5f : -1.f;
                const ncnn::Mat want = expected(x, bias ? (const float*)b : nullptr, act, alpha, gain, clamp);
                for (const Mode& mode : all_modes()) {
                    const std::vector<ncnn::Mat> inputs =
                        bias ? std::vector<ncnn::Mat>{x, b} : std::vector<ncnn::Mat>{x};
                    const Outcome got =
                        run_layer("BiasAct", params(act, alpha, gain, clamp, bias), inputs, mode);
                    const std::string what =
                        text("act=%d bias=%d gain=%g clamp=%g dims=%zu first=%d last=%d %s", act, bias, gain,
                             clamp, shape.size(), shape[0], shape.back(), mode.name().c_str());
                    if (check(got.status == 0, "%s: %s", what.c_str(), got.error.c_str()))
                        check_close(got.outputs[0], want, 5e-7, what);
                }
            }
        }
    }
}

TEST(biasact, extreme_values)
{
    // softplus must not overflow, swish and sigmoid must saturate, elu and selu must level off
    const ncnn::Mat x = mat_of({8}, {-1000.f, -100.f, -20.f, -1e-6f, 1e-6f, 20.f, 100.f, 1000.f});
    for (int act = 0; act <= 8; act++) {
        const ncnn::Mat want = expected(x, nullptr, act, 0.2, 1.0, -1.0);
        for (const Mode& mode : all_modes()) {
            const Outcome got = run_layer("BiasAct", params(act, 0.2f, 1.f, -1.f, false), {x}, mode);
            // per value: the difference relative to 1000 would hide the small ones
            for (int i = 0; i < 8 && got.status == 0; i++)
                check(fabs(got.outputs[0][i] - want[i]) <= 2e-7 * fmax(1.0, fabs(want[i])),
                      "act=%d x=%g: %g, not %g", act, x[i], got.outputs[0][i], want[i]);
        }
    }
}

TEST(biasact, alpha_is_for_lrelu_only)
{
    const ncnn::Mat x = random_mat({3, 4, 4}, 9);
    for (int act = 0; act <= 8; act++) {
        const ncnn::Mat a =
            run_layer("BiasAct", params(act, 0.2f, 1.f, -1.f, false), {x}, all_modes()[0]).outputs.at(0);
        const ncnn::Mat b =
            run_layer("BiasAct", params(act, 0.5f, 1.f, -1.f, false), {x}, all_modes()[0]).outputs.at(0);
        check((difference(a, b) > 0) == (act == 2), "act=%d: alpha 0.2 and 0.5 differ by %g", act,
              difference(a, b));
    }
}

// Every packing, on any machine: what a Net packs depends on the CPU.
TEST(biasact, packed_lanes)
{
    for (int pack : {4, 8, 16}) {
        for (const std::vector<int>& shape : {std::vector<int>{32}, {32, 5}, {32, 3, 7}, {16, 2, 3, 3}}) {
            const ncnn::Mat x = random_mat(shape, 3);
            const ncnn::Mat b = random_mat({features(shape)}, 4);
            custom_layers::BiasAct layer;
            ncnn::ParamDict pd;
            pd.set(0, 2);
            pd.set(1, 0.2f);
            pd.set(4, 1);
            ncnn::Option opt;
            opt.num_threads = 2;
            std::vector<ncnn::Mat> blobs(2);
            ncnn::convert_packing(x.clone(), blobs[0], pack, opt); // a 1-D blob is repacked without a copy
            blobs[1] = b.clone();
            const bool ok = layer.load_param(pd) == 0 && layer.forward_inplace(blobs, opt) == 0;
            if (!check(ok, "pack=%d dims=%zu failed", pack, shape.size()))
                continue;
            ncnn::Mat y;
            ncnn::convert_packing(blobs[0], y, 1, opt);
            check_close(y, expected(x, b, 2, 0.2, 1.0, -1.0), 1e-6,
                        text("pack=%d dims=%zu", pack, shape.size()));
        }
    }
}
