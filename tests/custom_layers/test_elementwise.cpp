// The layers that map values one by one, against the formula in double.
#include "check.h"
#include "net.h"

#include <math.h>

#include <functional>

static const std::vector<std::vector<int>> kShapes = {
    {1},       {3},       {64},      {1000},       {1, 1},       {5, 7},       {16, 33},      {1, 6, 5},
    {3, 4, 9}, {4, 1, 7}, {8, 5, 3}, {32, 16, 17}, {1, 1, 3, 3}, {5, 2, 1, 4}, {16, 3, 2, 5}, {64, 20, 20}};

static void sweep(const char* type, const std::string& params, const std::function<double(double)>& formula,
                  float low, float high, double tolerance)
{
    unsigned seed = 1;
    for (const std::vector<int>& shape : kShapes) {
        const ncnn::Mat x = random_mat(shape, seed++, low, high);
        std::vector<float> expected = values_of(x);
        for (float& v : expected)
            v = (float)formula(v);
        for (const Mode& mode : all_modes()) {
            const Outcome got = run_layer(type, params, {x}, mode);
            const std::string what = text("%s %s values=%zu dims=%zu first=%d %s", type, params.c_str(),
                                          expected.size(), shape.size(), shape[0], mode.name().c_str());
            if (check(got.status == 0, "%s: status %d %s", what.c_str(), got.status, got.error.c_str()))
                check_close(got.outputs[0], mat_of(shape, expected), tolerance, what);
        }
    }
}

static double clamped(double v, double low, double high) { return v < low ? low : v > high ? high : v; }

TEST(elementwise, square)
{
    sweep("Square", "", [](double v) { return v * v; }, -3.f, 3.f, 1e-7);
}

TEST(elementwise, abs)
{
    sweep("Abs", "", [](double v) { return fabs(v); }, -3.f, 3.f, 0.0);
}

TEST(elementwise, rsqrt)
{
    sweep("Rsqrt", "", [](double v) { return 1 / sqrt(v); }, 0.1f, 9.f, 2e-7);
    sweep(
        "Rsqrt", "0=" + num(1e-8f) + " 1=" + num(0.25f), [](double v) { return 1 / sqrt(1e-8 + 0.25 * v); },
        0.f, 4.f, 2e-7);
}

TEST(elementwise, sqrt)
{
    sweep("Sqrt", "", [](double v) { return sqrt(v); }, 0.f, 9.f, 1e-7);
    sweep("Sqrt", "0=" + num(0.5f), [](double v) { return sqrt(0.5 + v); }, -0.5f, 9.f, 1e-7);
}

TEST(elementwise, sin)
{
    const double pi = 3.14159265358979323846;
    sweep("Sin", "", [pi](double v) { return sin(pi * v); }, -3.f, 3.f, 1e-7);
    sweep("Sin", "0=" + num(2.f), [pi](double v) { return sin(2 * pi * v); }, -100.f, 100.f, 1e-7);
    // Large arguments: sin(pi * v) in float would be off in the second digit.
    sweep("Sin", "0=" + num(1.f), [pi](double v) { return sin(pi * fmod(v, 2.0)); }, -1e5f, 1e5f, 1e-7);
}

TEST(elementwise, sin_special)
{
    const ncnn::Mat x = mat_of({9}, {0.f, 0.5f, 1.f, -0.5f, 1.5f, 16777215.f, 1e30f, INFINITY, NAN});
    const ncnn::Mat want = mat_of({9}, {0.f, 1.f, 0.f, -1.f, -1.f, 0.f, 0.f, NAN, NAN});
    for (const Mode& mode : all_modes())
        check_close(run_layer("Sin", "0=1.0", {x}, mode).outputs.at(0), want, 0.0,
                    "Sin special " + mode.name());
}

TEST(elementwise, clamp)
{
    sweep("Clamp", "", [](double v) { return clamped(v, 0, 1); }, -3.f, 3.f, 0.0);
    sweep(
        "Clamp", "0=" + num(-1.5f) + " 1=" + num(0.75f), [](double v) { return clamped(v, -1.5, 0.75); },
        -3.f, 3.f, 0.0);
    sweep(
        "Clamp", "0=" + num(1e-8f) + " 1=" + num(3e38f), [](double v) { return clamped(v, 1e-8f, 3e38f); },
        -3.f, 3.f, 0.0);
}

TEST(elementwise, mulconstant)
{
    sweep("MulConstant", "", [](double v) { return v; }, -3.f, 3.f, 0.0);
    sweep(
        "MulConstant", "0=" + num(0.25f) + " 1=" + num(-3.f), [](double v) { return 0.25 * v - 3; }, -3.f,
        3.f, 1e-7);
}

TEST(elementwise, styleganpost)
{
    sweep("StyleganPost", "", [](double v) { return clamped(v * 127.5 + 128, 0, 255); }, -1.5f, 1.5f, 1e-7);
}

TEST(elementwise, nan_stays_nan)
{
    const ncnn::Mat x = mat_of({3}, {NAN, -INFINITY, INFINITY});
    for (const Mode& mode : all_modes()) {
        check_close(run_layer("Clamp", "", {x}, mode).outputs.at(0), mat_of({3}, {NAN, 0.f, 1.f}), 0.0,
                    "Clamp NaN");
        check_close(run_layer("StyleganPost", "", {x}, mode).outputs.at(0), mat_of({3}, {NAN, 0.f, 255.f}),
                    0.0, "StyleganPost NaN");
        check_close(run_layer("Square", "", {x}, mode).outputs.at(0), mat_of({3}, {NAN, INFINITY, INFINITY}),
                    0.0, "Square NaN");
    }
}
