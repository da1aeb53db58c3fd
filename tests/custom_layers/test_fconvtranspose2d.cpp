#include "check.h"
#include "net.h"

#include <algorithm>

namespace
{
struct Geometry {
    int in, out, h, w;
    int kernel_h = 3, kernel_w = 3;
    int stride_h = 1, stride_w = 1;
    int dilation_h = 1, dilation_w = 1;
    int top = 0, bottom = 0, left = 0, right = 0;
    int output_pad_h = 0, output_pad_w = 0;
    int group = 1;
    bool bias = false;
    int act = 0; // 0 none, 2 leaky relu of slope 0.3

    std::string name() const
    {
        return text("in=%d out=%d h=%d w=%d kernel=%d,%d stride=%d,%d dilation=%d,%d pad t%d b%d l%d r%d "
                    "output_pad=%d,%d group=%d bias=%d act=%d",
                    in, out, h, w, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, top,
                    bottom, left, right, output_pad_h, output_pad_w, group, bias, act);
    }

    std::string params() const
    {
        return text("0=%d 1=%d 2=%d 3=%d 4=%d 5=%d 6=%d 7=%d 9=%d 11=%d 12=%d 13=%d 14=%d 15=%d 16=%d 18=%d "
                    "19=%d -23310=1,3.0e-1",
                    out, kernel_w, dilation_w, stride_w, left, bias, in * out / group * kernel_h * kernel_w,
                    group, act, kernel_h, dilation_h, stride_h, top, right, bottom, output_pad_w,
                    output_pad_h);
    }
};
} // namespace

// The definition: every input pixel adds w, scaled, at stride * its place.
static ncnn::Mat naive(const Geometry& g, const ncnn::Mat& x, const ncnn::Mat& w, const ncnn::Mat& b)
{
    const int outh =
        (g.h - 1) * g.stride_h + g.dilation_h * (g.kernel_h - 1) + 1 + g.output_pad_h - g.top - g.bottom;
    const int outw =
        (g.w - 1) * g.stride_w + g.dilation_w * (g.kernel_w - 1) + 1 + g.output_pad_w - g.left - g.right;
    const int per_group = g.out / g.group;
    std::vector<double> sums((size_t)g.out * outh * outw, 0.0);
    for (int i = 0; i < g.in; i++) {
        const int group = i / (g.in / g.group);
        for (int o = 0; o < per_group; o++) {
            const float* kernel = w.channel(i).depth(o);
            double* to = sums.data() + (size_t)(group * per_group + o) * outh * outw;
            for (int y = 0; y < g.h; y++)
                for (int xx = 0; xx < g.w; xx++)
                    for (int ky = 0; ky < g.kernel_h; ky++)
                        for (int kx = 0; kx < g.kernel_w; kx++) {
                            const int oy = y * g.stride_h + ky * g.dilation_h - g.top;
                            const int ox = xx * g.stride_w + kx * g.dilation_w - g.left;
                            if (oy >= 0 && oy < outh && ox >= 0 && ox < outw)
                                to[oy * outw + ox] +=
                                    (double)x.channel(i).row(y)[xx] * kernel[ky * g.kernel_w + kx];
                        }
        }
    }
    std::vector<float> values(sums.size());
    for (size_t i = 0; i < sums.size(); i++) {
        double v = sums[i] + (g.bias ? b[i / ((size_t)outh * outw)] : 0.f);
        if (g.act == 2 && v < 0)
            v *= 0.3;
        values[i] = (float)v;
    }
    return mat_of({g.out, outh, outw}, values);
}

// [in, out / group, kh, kw] as ncnn's own layer has it in a file: [out, in / group, kh, kw].
static ncnn::Mat in_ncnns_order(const Geometry& g, const ncnn::Mat& w)
{
    const int in = g.in / g.group, out = g.out / g.group;
    std::vector<float> values;
    for (int o = 0; o < g.out; o++)
        for (int i = 0; i < in; i++) {
            const float* kernel = w.channel(o / out * in + i).depth(o % out);
            values.insert(values.end(), kernel, kernel + g.kernel_h * g.kernel_w);
        }
    return mat_of({g.out, in, g.kernel_h, g.kernel_w}, values);
}

static void one(const Geometry& g, const std::vector<Mode>& modes)
{
    if (!its_turn())
        return;
    const ncnn::Mat x = random_mat({g.in, g.h, g.w}, 1);
    const ncnn::Mat w = random_mat({g.in, g.out / g.group, g.kernel_h, g.kernel_w}, 2, -1.f, 1.f);
    const ncnn::Mat b = random_mat({g.out}, 3);
    const ncnn::Mat want = naive(g, x, w, b);
    std::vector<ncnn::Mat> inputs = {x, w};
    if (g.bias)
        inputs.push_back(b);
    for (const Mode& mode : modes)
        for (const bool ncnns : {false, true}) {
            inputs[1] = ncnns ? in_ncnns_order(g, w) : w;
            const Outcome got = run_layer(
                "FconvTranspose2d", g.params() + (ncnns ? " 17=0" : text(" 17=%d", g.in)), inputs, mode);
            const std::string what = g.name() + (ncnns ? " ncnn's order " : " ") + mode.name();
            if (check(got.status == 0, "%s: %s", what.c_str(), got.error.c_str()))
                check_close(got.outputs[0], want, 2e-6, what);
        }
}

TEST(fconvtranspose2d, geometry)
{
    const int channels[][3] = {{1, 1, 1}, {3, 5, 1}, {4, 8, 1}, {6, 4, 2}, {5, 5, 5}, {16, 16, 1}};
    const int sizes[][2] = {{1, 1}, {1, 6}, {5, 1}, {4, 4}, {7, 10}};
    int n = 0;
    for (const auto& c : channels) {
        for (const auto& size : sizes) {
            for (int kernel = 1; kernel <= 4; kernel++) {
                for (int stride = 1; stride <= 4; stride++) {
                    Geometry g = {c[0], c[1], size[0], size[1]};
                    g.group = c[2];
                    g.kernel_h = g.kernel_w = kernel;
                    g.stride_h = g.stride_w = stride;
                    g.bias = n % 2 == 0;
                    g.act = n % 3 == 0 ? 2 : 0;
                    // one mode each in turn: the sweep meets all of them
                    one(g, {all_modes()[n++ % all_modes().size()]});
                }
            }
        }
    }
}

TEST(fconvtranspose2d, asymmetric)
{
    unsigned state = 7;
    const auto next = [&state](int low, int high) {
        state = state * 1664525u + 1013904223u;
        return low + (int)((state >> 16) % (unsigned)(high - low + 1));
    };
    for (int n = 0; n < 300; n++) {
        Geometry g = {2 * next(1, 4), 2 * next(1, 4), next(1, 9), next(1, 9)};
        g.group = next(1, 2);
        g.kernel_h = next(1, 5);
        g.kernel_w = next(1, 5);
        g.stride_h = next(1, 4);
        g.stride_w = next(1, 4);
        g.dilation_h = next(1, 3);
        g.dilation_w = next(1, 3);
        g.output_pad_h = next(0, 3);
        g.output_pad_w = next(0, 3);
        const int high_h = (g.h - 1) * g.stride_h + g.dilation_h * (g.kernel_h - 1) + 1 + g.output_pad_h;
        const int high_w = (g.w - 1) * g.stride_w + g.dilation_w * (g.kernel_w - 1) + 1 + g.output_pad_w;
        g.top = next(0, std::min(4, high_h - 1));
        g.bottom = next(0, std::min(4, high_h - 1 - g.top));
        g.left = next(0, std::min(4, high_w - 1));
        g.right = next(0, std::min(4, high_w - 1 - g.left));
        g.bias = next(0, 1) != 0;
        one(g, {all_modes()[n % all_modes().size()]});
    }
}

// Large enough for several blocks of input rows, whose sums meet in the same output rows.
TEST(fconvtranspose2d, several_blocks)
{
    for (int stride = 1; stride <= 4; stride++) {
        Geometry g = {8, 24, 160, 100};
        g.stride_h = g.stride_w = stride;
        g.kernel_h = g.kernel_w = 4;
        g.top = g.left = 1;
        g.bias = stride % 2 == 0;
        one(g, {all_modes()[0], all_modes()[3]});
    }
    Geometry g = {8, 16, 160, 100};
    g.group = 2;
    g.stride_h = 2;
    g.stride_w = 2;
    g.dilation_h = 3;
    g.bias = true;
    g.act = 2;
    one(g, {all_modes()[0], all_modes()[3]});
}

TEST(fconvtranspose2d, as_stylegan2_uses_it)
{
    for (int size : {4, 8, 16, 32}) {
        Geometry g = {64, 64, size, size};
        g.stride_h = g.stride_w = 2;
        one(g, all_modes());
    }
}
