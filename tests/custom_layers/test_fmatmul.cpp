#include "check.h"
#include "net.h"

#include <math.h>

#include <algorithm>

static double activation(int type, double v)
{
    switch (type) {
    case 1:
        return v > 0 ? v : 0;
    case 2:
        return v > 0 ? v : 0.3 * v;
    case 3:
        return v < -0.5 ? -0.5 : v > 0.25 ? 0.25 : v;
    case 4:
        return 1 / (1 + exp(-v));
    case 5:
        return v * tanh(log(1 + exp(v)));
    case 6:
        return v * (v < -2.5 ? 0 : v > 2.5 ? 1 : 0.2 * v + 0.5);
    default:
        return v;
    }
}

// 9=type and 10=numbers as `activation` above has them.
static std::string activation_params(int type)
{
    const std::string numbers[7] = {"", "", ",3.0e-1", ",-5.0e-1,2.5e-1", "", "", ",2.0e-1,5.0e-1"};
    const int counts[7] = {0, 0, 1, 2, 0, 0, 2};
    return text(" 9=%d", type) +
           (counts[type] ? text(" -23310=%d%s", counts[type], numbers[type].c_str()) : "");
}

static void one(int rows, int out, int in, const std::vector<int>& weight_shape, bool bias, int act)
{
    const ncnn::Mat x = random_mat(rows ? std::vector<int>{rows, in} : std::vector<int>{in}, 1);
    const ncnn::Mat w = random_mat(weight_shape, 2, -1.f, 1.f);
    const ncnn::Mat b = random_mat({out}, 3);
    const std::vector<float> weight = values_of(w);
    ncnn::Mat want = zeros(rows ? std::vector<int>{rows, out} : std::vector<int>{out});
    for (int r = 0; r < std::max(rows, 1); r++) {
        for (int o = 0; o < out; o++) {
            double sum = bias ? b[o] : 0;
            for (int i = 0; i < in; i++)
                sum += (double)x.row(r)[i] * weight[(size_t)o * in + i];
            want.row(r)[o] = (float)activation(act, sum);
        }
    }
    std::vector<ncnn::Mat> inputs = {x, w};
    if (bias)
        inputs.push_back(b);
    const std::string params = text("0=%d 1=%d 2=%d", out, bias, out * in) + activation_params(act);
    for (const Mode& mode : all_modes()) {
        const Outcome got = run_layer("Fmatmul", params, inputs, mode);
        const std::string what =
            text("rows=%d out=%d in=%d weight dims=%zu first=%d bias=%d act=%d %s", rows, out, in,
                 weight_shape.size(), weight_shape[0], bias, act, mode.name().c_str());
        if (check(got.status == 0, "%s: %s", what.c_str(), got.error.c_str()))
            check_close(got.outputs[0], want, 2e-6, what);
    }
}

TEST(fmatmul, shapes)
{
    for (const auto& size :
         {std::pair<int, int>{1, 1}, {1, 7}, {6, 1}, {5, 3}, {16, 16}, {33, 50}, {64, 130}, {512, 512}}) {
        const int out = size.first;
        const int in = size.second;
        for (int rows : {0, 1, 2, 3, 4, 5, 16, 37}) {
            if (out == 512 && rows > 5)
                continue;
            one(rows, out, in, {out, in}, rows % 2 == 1, 0);
            one(rows, out, in, {out, in, 1, 1}, rows % 2 == 0, 0);
        }
    }
}

TEST(fmatmul, weights_of_any_shape)
{
    for (int rows : {0, 2, 9}) {
        // 6 outputs of 15: rows with gaps, gaps inside rows, rows that straddle channels, no gaps
        for (const std::vector<int>& shape : {std::vector<int>{90},
                                              {6, 15},
                                              {15, 6},
                                              {6, 3, 5},
                                              {6, 1, 15},
                                              {3, 5, 6},
                                              {10, 3, 3},
                                              {2, 9, 5},
                                              {6, 15, 1, 1},
                                              {6, 1, 3, 5},
                                              {2, 3, 3, 5},
                                              {1, 90, 1}})
            one(rows, 6, 15, shape, true, 0);
    }
}

TEST(fmatmul, fused_activations)
{
    for (int act = 0; act <= 6; act++) {
        one(0, 20, 30, {20, 30}, true, act);
        one(6, 20, 30, {20, 30}, false, act);
    }
}

TEST(fmatmul, integer_written_activation_params)
{
    const ncnn::Mat x = mat_of({2}, {3.f, -4.f});
    const ncnn::Mat w = mat_of({2, 2}, {1.f, 0.f, 0.f, 1.f});
    for (const Mode& mode : all_modes()) {
        const Outcome got = run_layer("Fmatmul", "0=2 1=0 2=4 9=3 -23310=2,-2,1", {x, w}, mode);
        if (check(got.status == 0, "%s", got.error.c_str()))
            check_close(got.outputs[0], mat_of({2}, {1.f, -2.f}), 0.0, "clip from -2 to 1");
    }
}
