// FilteredLrelu, Upfirdn2d and what they share: every instruction set and the scalar form against a naive
// oracle that really inserts the zeros, pads, and multiplies with every tap.
#include "check.h"
#include "net.h"
#include "random.h"

#include <custom_layers/error.h>
#include <custom_layers/filteredlrelu.h>
#include <custom_layers/fir.h>
#include <custom_layers/upfirdn2d.h>

#include <math.h>
#include <stdlib.h>

#include <algorithm>
#include <cmath>

using custom_layers::Fir;
using custom_layers::FirKernels;

static const double kTolerance = 1e-5;

namespace
{
// A plane of numbers in double.
struct Plane {
    int h = 0;
    int w = 0;
    std::vector<double> values;

    Plane(int rows, int columns) : h(rows), w(columns), values((size_t)rows * columns) {}
    double& at(int y, int x) { return values[(size_t)y * w + x]; }
    double at(int y, int x) const { return values[(size_t)y * w + x]; }
};

// A filter as an author gives it: [columns] if rows is 0; none if both are 0.
struct Taps {
    int rows = 0;
    int columns = 0;
    std::vector<float> values;

    int h() const { return rows ? rows : std::max(columns, 1); }
    int w() const { return std::max(columns, 1); }
    double at(int y, int x) const
    {
        if (columns == 0)
            return 1;
        return rows ? (double)values[y * columns + x] : (double)values[y] * values[x];
    }
};

struct Case {
    std::vector<int> shape; // of x
    int up_y = 1, up_x = 1, down_y = 1, down_x = 1;
    int top = 0, bottom = 0, left = 0, right = 0;
    bool flip = false;
    Taps fu, fd;
    float up_gain = 1, gain = 1, slope = 1, clamp = -1;
    bool bias = false;

    int out_h() const { return (shape[1] * up_y + top + bottom - (fu.h() - 1) - fd.h() + down_y) / down_y; }
    int out_w() const { return (shape[2] * up_x + left + right - (fu.w() - 1) - fd.w() + down_x) / down_x; }
    bool possible() const
    {
        return shape[1] * up_y + top + bottom >= fu.h() - 1 + fd.h() &&
               shape[2] * up_x + left + right >= fu.w() - 1 + fd.w() &&
               shape[1] * up_y + std::min(top, 0) + std::min(bottom, 0) > 0 &&
               shape[2] * up_x + std::min(left, 0) + std::min(right, 0) > 0;
    }

    std::string name() const
    {
        return text(
            "x=[%d, %d, %d] up=%d,%d down=%d,%d pad=%d,%d,%d,%d fu=%dx%d fd=%dx%d flip=%d gain=%g slope=%g "
            "clamp=%g bias=%d",
            shape[0], shape[1], shape[2], up_y, up_x, down_y, down_x, top, bottom, left, right, fu.rows,
            fu.columns, fd.rows, fd.columns, flip, gain, slope, clamp, bias);
    }
};
} // namespace

static Plane filtered(const Plane& x, const Taps& taps, bool flip)
{
    Plane y(x.h - taps.h() + 1, x.w - taps.w() + 1);
    for (int i = 0; i < y.h; i++) {
        for (int j = 0; j < y.w; j++) {
            for (int ky = 0; ky < taps.h(); ky++) {
                for (int kx = 0; kx < taps.w(); kx++) {
                    const double tap = flip ? taps.at(ky, kx) : taps.at(taps.h() - 1 - ky, taps.w() - 1 - kx);
                    y.at(i, j) += tap * x.at(i + ky, j + kx);
                }
            }
        }
    }
    return y;
}

static ncnn::Mat expected(const Case& c, const ncnn::Mat& x, const ncnn::Mat& bias)
{
    ncnn::Mat y = zeros({c.shape[0], c.out_h(), c.out_w()});
    for (int channel = 0; channel < c.shape[0]; channel++) {
        Plane padded(x.h * c.up_y + c.top + c.bottom, x.w * c.up_x + c.left + c.right);
        for (int i = 0; i < x.h; i++) {
            for (int j = 0; j < x.w; j++) {
                const int row = i * c.up_y + c.top;
                const int column = j * c.up_x + c.left;
                if (row >= 0 && column >= 0 && row < padded.h && column < padded.w)
                    padded.at(row, column) =
                        (double)x.channel(channel).row(i)[j] + (c.bias ? bias[channel] : 0.f);
            }
        }
        Plane t = filtered(padded, c.fu, c.flip);
        for (double& v : t.values) {
            v *= c.up_gain;
            v = (v < 0 ? v * c.slope : v) * c.gain;
            if (c.clamp >= 0)
                v = v < -c.clamp ? -c.clamp : v > c.clamp ? c.clamp : v;
        }
        const Plane result = filtered(t, c.fd, c.flip);
        for (int i = 0; i < y.h; i++) {
            for (int j = 0; j < y.w; j++)
                y.channel(channel).row(i)[j] = (float)result.at(i * c.down_y, j * c.down_x);
        }
    }
    return y;
}

static Fir fir_of(const Case& c)
{
    Fir fir;
    fir.y.up = c.up_y;
    fir.x.up = c.up_x;
    fir.y.down = c.down_y;
    fir.x.down = c.down_x;
    fir.y.before = c.top;
    fir.y.after = c.bottom;
    fir.x.before = c.left;
    fir.x.after = c.right;
    fir.up.set(c.fu.values.data(), c.fu.rows, c.fu.columns, c.flip, c.up_gain);
    fir.down.set(c.fd.values.data(), c.fd.rows, c.fd.columns, c.flip, 1.f);
    fir.activation.positive = c.gain;
    fir.activation.negative = c.gain * c.slope;
    if (c.clamp >= 0)
        fir.activation.limit = c.clamp;
    return fir;
}

// kind: 0 none, 1 1-D, 2 2-D of no symmetry, 3 2-D that is a product, 4 2-D of mirrored rows
static Taps random_taps(Random& random, int kind, int most)
{
    Taps taps;
    if (kind == 0)
        return taps;
    taps.columns = random.integer(1, most);
    taps.rows = kind == 1 ? 0 : random.integer(1, most);
    taps.values.resize(std::max(taps.rows, 1) * taps.columns);
    // Of a sum near 1 in magnitude: rounding errors are seen relative to the result.
    for (float& v : taps.values)
        v = random.number(-1.f, 1.5f) / (float)(kind == 1 ? taps.columns : taps.rows + taps.columns);
    if (kind == 3) {
        for (int y = 1; y < taps.rows; y++) {
            const float factor = random.number(-1.f, 1.f);
            for (int x = 0; x < taps.columns; x++)
                taps.values[y * taps.columns + x] = taps.values[x] * factor;
        }
    }
    if (kind == 4) {
        for (int y = 0; y < taps.rows / 2; y++)
            std::copy_n(&taps.values[y * taps.columns], taps.columns,
                        &taps.values[(taps.rows - 1 - y) * taps.columns]);
    }
    return taps;
}

static Case random_case(Random& random)
{
    Case c;
    do {
        c.shape = {random.one_of({1, 2, 3, 4, 5, 8, 16, 20, 33}), random.integer(1, 9), random.integer(1, 9)};
        if (random.integer(0, 7) == 0) // several tiles wide
            c.shape = {random.integer(1, 5), random.integer(1, 3), random.integer(60, 90)};
        const bool square = random.integer(0, 3) != 0;
        c.up_y = random.integer(1, 5);
        c.up_x = square ? c.up_y : random.integer(1, 5);
        c.down_y = random.integer(1, 5);
        c.down_x = square ? c.down_y : random.integer(1, 5);
        for (int* pad : {&c.top, &c.bottom, &c.left, &c.right})
            *pad = random.integer(-6, 10);
        c.flip = random.integer(0, 1) == 1;
        c.fu = random_taps(random, random.one_of({0, 1, 1, 2, 3}), 13);
        c.fd = random_taps(random, random.one_of({0, 1, 1, 2, 3, 4, 4}), 13);
        c.up_gain = (float)(c.up_y * c.up_x);
        c.gain = random.one_of({1, 1, 2, -1}) * 0.75f;
        c.slope = random.one_of({0, 1, 2, 10}) * 0.1f;
        c.clamp = random.one_of({0, 1}) ? -1.f : 0.4f;
        if (random.integer(0, 3) == 0) { // nothing between the filters
            c.gain = c.slope = 1.f;
            c.clamp = -1.f;
        }
        c.bias = random.integer(0, 1) == 1;
    } while (!c.possible());
    return c;
}

// Kernels for Fir::run: all that the machine has, and null for the scalar form.
static std::vector<const FirKernels*> all_forms()
{
    std::vector<const FirKernels*> forms;
    for (const FirKernels* const* next = custom_layers::fir_kernels(); *next; next++)
        forms.push_back(*next);
    forms.push_back(nullptr);
    return forms;
}

static const char* form_name(const FirKernels* kernels) { return kernels ? kernels->name : "scalar"; }

// The result unpacked; empty after a failure.
static ncnn::Mat run_fir(const Fir& fir, const ncnn::Mat& x, const float* bias, int pack, int threads,
                         const FirKernels* kernels)
{
    ncnn::Option opt;
    opt.num_threads = threads;
    ncnn::Mat packed;
    ncnn::convert_packing(x, packed, pack, opt);
    const custom_layers::FilteredLrelu layer;
    ncnn::Mat top;
    ncnn::Mat y;
    if (fir.run(layer, packed, bias, top, opt, kernels) != 0 || top.elempack != pack)
        return y;
    ncnn::convert_packing(top, y, 1, opt);
    return y;
}

static void check_case(const Case& c, unsigned seed)
{
    if (!its_turn())
        return;
    const ncnn::Mat x = random_mat(c.shape, seed);
    const ncnn::Mat bias = random_mat({c.shape[0]}, seed + 1);
    const ncnn::Mat want = expected(c, x, bias);
    const Fir fir = fir_of(c);
    for (int pack : {1, 4, 8, 16}) {
        if (c.shape[0] % pack != 0)
            continue;
        for (const FirKernels* kernels : all_forms()) {
            const int threads = 1 + (int)(seed + pack) % 3;
            check_close(
                run_fir(fir, x, c.bias ? (const float*)bias : nullptr, pack, threads, kernels), want,
                kTolerance,
                text("%s pack=%d threads=%d %s", c.name().c_str(), pack, threads, form_name(kernels)));
        }
    }
}

TEST(fir, random_sweep)
{
    Random random(1);
    for (unsigned i = 0; i < 400; i++)
        check_case(random_case(random), i);
}

// The layers of StyleGAN3 at a small size: their factors, taps and paddings, several tiles wide.
TEST(fir, stylegan3_layers)
{
    Random random(2);
    for (int up : {2, 4}) {
        for (int radial = 0; radial < 2; radial++) {
            for (int out : {1, 20, 64, 65, 131}) {
                Case c;
                const int in = out * 2 / up + 10;
                c.shape = {out > 100 ? 3 : 16, in, in};
                c.up_y = c.up_x = up;
                c.down_y = c.down_x = 2;
                const int total = (out - 1) * 2 + 1 - in * up + 6 * up + 12 - 2;
                c.top = c.left = (total + up) >> 1;
                c.bottom = c.right = total - c.top;
                c.fu = random_taps(random, 1, 1);
                c.fu.columns = 6 * up;
                c.fu.values.assign(6 * up, 0.f);
                for (float& v : c.fu.values)
                    v = random.number(-0.05f, 0.2f);
                c.fd.rows = radial ? 12 : 0;
                c.fd.columns = 12;
                c.fd.values.assign(radial ? 144 : 12, 0.f);
                for (int k = 0; k < (int)c.fd.values.size(); k++)
                    c.fd.values[k] = radial ? (float)exp(-hypot(k / 12 - 5.5, k % 12 - 5.5)) : (k + 1) / 80.f;
                c.up_gain = (float)(up * up);
                c.gain = 1.4142135f;
                c.slope = 0.2f;
                c.clamp = 1.f;
                c.bias = true;
                check(c.out_h() == out && c.out_w() == out, "the case is not what it means to be");
                check_case(c, (unsigned)(out * up));
            }
        }
    }
}

TEST(fir, factors_larger_than_the_filters)
{
    Random random(3);
    for (int up : {1, 7, 64}) {
        for (int down : {1, 9, 64}) {
            Case c;
            c.shape = {3, 4, 5};
            c.up_y = c.up_x = up;
            c.down_y = c.down_x = down;
            c.fu = random_taps(random, 1, 3);
            c.fd = random_taps(random, 2, 3);
            c.top = c.left = 70;
            c.up_gain = (float)(up * up);
            c.gain = 2.f;
            c.slope = 0.5f;
            c.bias = true;
            check_case(c, (unsigned)(up + down));
        }
    }
}

// Buffers of the fast form would be too large: the scalar form takes over.
TEST(fir, huge_filter)
{
    Random random(4);
    Case c;
    c.shape = {2, 258, 257};
    c.fd = random_taps(random, 1, 1);
    c.fd.rows = c.fd.columns = 256;
    c.fd.values.assign(256 * 256, 0.f);
    for (float& v : c.fd.values)
        v = random.number(-1.f, 1.f);
    const ncnn::Mat x = random_mat(c.shape, 5);
    ncnn::Mat top(2, 3, 2);
    const Fir fir = fir_of(c);
    check(custom_layers::run_fir_tiles(fir, *custom_layers::fir_kernels()[0], x, nullptr, top,
                                       ncnn::Option()) == 1,
          "the fast form took a filter of 256x256");
    check_case(c, 5);
}

TEST(fir, a_nan_stays_and_an_infinity_is_limited)
{
    for (float bad : {NAN, INFINITY, -INFINITY}) {
        Random random(6);
        Case c;
        c.shape = {16, 9, 9};
        c.up_y = c.up_x = c.down_y = c.down_x = 2;
        c.top = c.bottom = c.left = c.right = 5;
        c.fu = random_taps(random, 1, 1);
        c.fu.columns = 4;
        c.fu.values = {0.5f, 0.25f, 0.75f, 0.5f};
        c.fd = c.fu;
        c.up_gain = 4;
        c.slope = 0.2f;
        c.clamp = 3.f;
        ncnn::Mat x = random_mat(c.shape, 7);
        x.channel(5).row(4)[4] = bad;
        const ncnn::Mat want = expected(c, x, ncnn::Mat());
        int odd = 0;
        for (float v : values_of(want))
            odd += v != v;
        check((odd > 0) == (bad != bad), "the oracle has %d NaN for %g", odd, bad);
        for (const FirKernels* kernels : all_forms())
            check_close(run_fir(fir_of(c), x, nullptr, 16, 2, kernels), want, kTolerance,
                        text("%g %s", bad, form_name(kernels)));
    }
}

namespace
{
class CountingAllocator : public ncnn::Allocator
{
public:
    void* fastMalloc(size_t size) override
    {
        largest = std::max(largest, size);
        return ncnn::fastMalloc(size);
    }
    void fastFree(void* block) override { ncnn::fastFree(block); }

    size_t largest = 0;
};
} // namespace

// A picture of any height needs the same few rows.
TEST(fir, workspace_is_small)
{
    for (int radial = 0; radial < 2; radial++) {
        Case c;
        c.shape = {16, 300, 80};
        c.up_y = c.up_x = 4;
        c.down_y = c.down_x = 2;
        c.fu.columns = 24;
        c.fu.values.assign(24, 0.1f);
        c.fd.rows = radial ? 12 : 0;
        c.fd.columns = 12;
        for (int k = 0; k < (radial ? 144 : 12); k++)
            c.fd.values.push_back((float)((k * k) % 7));
        CountingAllocator allocator;
        ncnn::Option opt;
        opt.num_threads = 2;
        opt.workspace_allocator = &allocator;
        ncnn::Mat packed;
        ncnn::convert_packing(random_mat(c.shape, 8), packed, 16, opt);
        const custom_layers::FilteredLrelu layer;
        ncnn::Mat top;
        check(fir_of(c).run(layer, packed, nullptr, top, opt) == 0, "failed");
        check(allocator.largest > 0 && allocator.largest < 2 * (512 << 10), "%zu bytes of workspace",
              allocator.largest);
    }
}

// Does the comparison see a changed tap, of either filter and in every form?
TEST(fir, mutation)
{
    Random random(9);
    for (int kind : {1, 2, 3}) {
        Case c;
        c.shape = {4, 6, 7};
        c.up_y = c.up_x = c.down_y = c.down_x = 2;
        c.top = c.bottom = c.left = c.right = 6;
        c.fu = random_taps(random, kind, 1);
        c.fu.rows = kind == 1 ? 0 : 4;
        c.fu.columns = 4;
        c.fu.values.assign(kind == 1 ? 4 : 16, 0.25f);
        c.fd = c.fu;
        c.slope = 0.2f;
        const ncnn::Mat x = random_mat(c.shape, 10);
        for (const FirKernels* kernels : all_forms()) {
            const ncnn::Mat good = run_fir(fir_of(c), x, nullptr, 4, 1, kernels);
            for (int which = 0; which < 2 * (int)c.fu.values.size(); which++) {
                Case changed = c;
                (which % 2 ? changed.fd : changed.fu).values[which / 2] += 0.01f;
                const double apart = difference(run_fir(fir_of(changed), x, nullptr, 4, 1, kernels), good);
                check(apart > 10 * kTolerance && std::isfinite(apart), "kind=%d tap %d of filter %d, %s: %g",
                      kind, which / 2, which % 2, form_name(kernels), apart);
            }
        }
    }
}

TEST(fir, every_set_of_the_machine_is_tested)
{
    const std::vector<const FirKernels*> forms = all_forms();
    check(std::string(form_name(forms[forms.size() - 2])) == "baseline", "the baseline is missing");
    for (const FirKernels* kernels : forms)
        printf("    %s\n", form_name(kernels));
#if defined(__x86_64__)
    check((__builtin_cpu_supports("avx2") != 0) == (forms.size() > 2),
          "AVX2 is there and not used, or the reverse");
    check((__builtin_cpu_supports("avx512bw") != 0) == (forms.size() > 3),
          "AVX-512 is there and not used, or the reverse");
#endif
}

// -- the layers in a Net
// -----------------------------------------------------------------------------------------

static std::string lrelu_params(const Case& c)
{
    return text("0=%d 1=%d 2=%d 3=%d 4=%d 5=%d 6=%d 7=%d 8=%d 9=%d 10=%d 12=%s 13=%s 14=%s 15=%d", c.up_y,
                c.down_y, c.top, c.bottom, c.left, c.right, c.fu.rows, c.fu.columns, c.fd.rows, c.fd.columns,
                c.bias ? c.shape[0] : 0, num(c.gain).c_str(), num(c.slope).c_str(), num(c.clamp).c_str(),
                c.flip);
}

static std::vector<float> joined(const std::vector<std::vector<float>>& parts)
{
    std::vector<float> all;
    for (const std::vector<float>& part : parts)
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

TEST(filteredlrelu, in_a_net)
{
    Random random(20);
    for (unsigned i = 0; i < 60; i++) {
        Case c = random_case(random);
        c.up_x = c.up_y;
        c.down_x = c.down_y;
        c.up_gain = (float)(c.up_y * c.up_y);
        if (!c.possible())
            continue;
        const ncnn::Mat x = random_mat(c.shape, i);
        const ncnn::Mat bias = random_mat({c.shape[0]}, i + 1);
        const ncnn::Mat want = expected(c, x, bias);
        const std::vector<float> weights =
            joined({c.fu.values, c.fd.values, c.bias ? values_of(bias) : std::vector<float>()});
        for (const Mode& mode : all_modes()) {
            const Outcome got = run_net(layer_text("FilteredLrelu", lrelu_params(c), 1, 1), weights, {x}, 1,
                                        mode, i % 2 == 1);
            const std::string what = c.name() + " " + mode.name();
            if (check(got.status == 0, "%s: %s", what.c_str(), got.error.c_str()))
                check_close(got.outputs[0], want, kTolerance, what);
        }
    }
}

TEST(filteredlrelu, truncated_model)
{
    // fu [4], fd [2, 3], b [5]
    const std::string layer = layer_text("FilteredLrelu", "0=2 2=4 3=4 4=4 5=4 7=4 8=2 9=3 10=5", 1, 1);
    const ncnn::Mat x = random_mat({5, 4, 4}, 1);
    const char* const says[3] = {"expects 4 values of fu", "expects 6 values of fd", "expects 5 values of b"};
    for (int size = 0; size <= 15; size++) {
        for (bool stream : {false, true}) {
            const Outcome got = run_net(layer, std::vector<float>(size, 1.f), {x}, 1, all_modes()[0], stream);
            const char* expects = size < 15 ? says[size < 4 ? 0 : size < 10 ? 1 : 2] : "";
            check((got.status == 0) == (size == 15), "%d of 15 values: status %d", size, got.status);
            check(got.error.find(expects) != std::string::npos && got.error.empty() == (size == 15),
                  "%d of 15 values: it says \"%s\"", size, got.error.c_str());
        }
    }
}

TEST(filteredlrelu, wrong_input_of_a_loaded_layer)
{
    const std::vector<float> weights(15, 1.f);
    struct {
        std::vector<std::vector<int>> inputs;
        const char* says;
    } cases[] = {
        {{{6, 4, 4}}, "expects [5, H, W], as many channels as b has values, got [6, 4, 4]"},
        {{{5, 4}}, "expects [5, H, W], as many channels as b has values, got [5, 4]"},
        {{{5, 2, 4, 4}}, "got [5, 2, 4, 4]"},
    };
    for (const auto& c : cases) {
        for (const Mode& mode : all_modes()) {
            const Outcome got = run_layer("FilteredLrelu", "0=2 2=4 3=4 4=4 5=4 7=4 8=2 9=3 10=5",
                                          {random_mat(c.inputs[0], 1)}, mode, 1, weights);
            check(got.status != 0 && got.error.find(c.says) != std::string::npos, "it says \"%s\"",
                  got.error.c_str());
        }
    }
}

static std::string updown_params(const Case& c)
{
    return text("0=%d 1=%d 2=%d 3=%d 4=%d 5=%d 6=%d 7=%d 8=%d 9=%d 10=%d 11=%s", c.up_y, c.up_x, c.down_y,
                c.down_x, c.top, c.bottom, c.left, c.right, c.fu.rows, c.fu.columns, c.flip,
                num(c.up_gain).c_str());
}

TEST(upfirdn2d, in_a_net)
{
    Random random(21);
    for (unsigned i = 0; i < 80; i++) {
        Case c = random_case(random);
        c.fd = Taps();
        c.gain = c.slope = 1.f;
        c.clamp = -1.f;
        c.bias = false;
        c.up_gain = -1.5f;
        if (i % 3 == 0)
            c.up_y = c.up_x = 1;
        if (!c.possible())
            continue;
        const ncnn::Mat x = random_mat(c.shape, i);
        const ncnn::Mat want = expected(c, x, ncnn::Mat());
        for (const Mode& mode : all_modes()) {
            const Outcome got = run_net(layer_text("Upfirdn2d", updown_params(c), 1, 1), c.fu.values, {x}, 1,
                                        mode, i % 2 == 1);
            const std::string what = c.name() + " " + mode.name();
            if (check(got.status == 0, "%s: %s", what.c_str(), got.error.c_str()))
                check_close(got.outputs[0], want, kTolerance, what);
        }
    }
}

TEST(upfirdn2d, truncated_model)
{
    for (size_t size = 0; size <= 6; size++) {
        const Outcome got = run_layer("Upfirdn2d", "4=2 5=2 6=2 7=2 8=2 9=3", {random_mat({3, 4, 4}, 1)},
                                      all_modes()[0], 1, std::vector<float>(size, 1.f));
        check((got.status == 0) == (size == 6), "%zu of 6 values: status %d", size, got.status);
        check(size == 6 || got.error.find("expects 6 values of f as float32") != std::string::npos,
              "%zu of 6 values: it says \"%s\"", size, got.error.c_str());
    }
}

TEST(filteredlrelu, used_without_loading)
{
    const ncnn::Mat x = random_mat({3, 4, 4}, 1);
    ncnn::Mat y;
    custom_layers::ErrorScope scope;
    check(custom_layers::FilteredLrelu().forward(x, y, ncnn::Option()) != 0, "it ran");
    check(scope.message() == "custom layer: has no weights: load_model was not called or failed",
          "it says \"%s\"", scope.message().c_str());
    custom_layers::ErrorScope second;
    check(custom_layers::Upfirdn2d().forward(x, y, ncnn::Option()) != 0, "it ran");
    check(second.message() == scope.message(), "it says \"%s\"", second.message().c_str());
}
