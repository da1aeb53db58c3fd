#include "conv_oracle.h"

#include "check.h"
#include "net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <memory>

using custom_layers::Conv;
using custom_layers::FirKernels;

ConvCase::ConvCase() : limit(INFINITY) {}

ConvCase::ConvCase(int i, int o, int h, int w, int size, int border) : ConvCase()
{
    inputs = i;
    outputs = o;
    height = h;
    width = w;
    kernel_h = kernel_w = size;
    padding = border;
}

ConvCase& ConvCase::upsampled(int taps, int border)
{
    up = 2;
    padding = border;
    filter.clear();
    for (int k = 0; k < taps; k++)
        filter.push_back((0.3f + 0.7f * (float)((k * 5 + 1) % 7)) * (k % 3 == 2 ? -0.5f : 1.f) / (float)taps);
    return *this;
}

double ConvCase::cost() const
{
    return (double)inputs * outputs * kernel_h * kernel_w * (height + 2) * (width + 2) * up * up;
}

std::string ConvCase::name() const
{
    return text("x=[%d, %d, %d] outputs=%d kernel=%dx%d padding=%d+%d+%d up=%d taps=%zu winograd=%d noise=%d "
                "residual=%d scaled=%d slopes=%d parts=%zu act=%g,%g,%g",
                inputs, height, width, outputs, kernel_h, kernel_w, padding, more_below, more_right, up,
                filter.size(), winograd, noise, residual, scaled, slopes, parts.size(), positive, negative,
                limit);
}

static std::vector<float> random_values(size_t count, unsigned seed, float low, float high)
{
    return values_of(random_mat({(int)count}, seed, low, high));
}

ConvData::ConvData(const ConvCase& c, unsigned seed)
{
    const float reach = 1.5f / sqrtf((float)c.inputs * c.kernel_h * c.kernel_w);
    x = random_values((size_t)c.inputs * c.height * c.width, seed, -1.5f, 1.5f);
    weights = random_values((size_t)c.outputs * c.inputs * c.kernel_h * c.kernel_w, seed + 1, -reach, reach);
    scale_in = random_values((size_t)c.inputs, seed + 2, -1.5f, 1.5f);
    scale_out = random_values((size_t)c.outputs, seed + 3, 0.2f, 1.8f);
    if (!c.scaled) {
        scale_in.assign(scale_in.size(), 1.f);
        scale_out.assign(scale_out.size(), 1.f);
    }
    bias = random_values((size_t)c.outputs, seed + 4, -1.f, 1.f);
    noise = random_values((size_t)c.out_h() * c.out_w(), seed + 5, -1.f, 1.f);
    if (c.slopes)
        slopes = random_values((size_t)c.outputs, seed + 6, -0.5f, 1.5f);
    if (c.residual)
        residual = random_values((size_t)c.outputs * c.out_h() * c.out_w(), seed + 7, -1.f, 1.f);
}

namespace
{
struct Plane {
    int h;
    int w;
    std::vector<double> values;

    Plane(int rows, int columns) : h(rows), w(columns), values((size_t)rows * columns) {}
    double* row(int y) { return values.data() + (size_t)y * w; }
    const double* row(int y) const { return values.data() + (size_t)y * w; }
};
} // namespace

// The channel of x, scaled, with zeros between the pixels and beside them.
static Plane spread(const ConvCase& c, const ConvData& data, int channel, int border)
{
    Plane plane((c.height - 1) * c.up + 1 + 2 * border + c.more_below,
                (c.width - 1) * c.up + 1 + 2 * border + c.more_right);
    for (int y = 0; y < c.height; y++) {
        for (int x = 0; x < c.width; x++)
            plane.row(border + y * c.up)[border + x * c.up] =
                (double)data.x[((size_t)channel * c.height + y) * c.width + x] * data.scale_in[channel];
    }
    return plane;
}

static Plane turned(const Plane& plane)
{
    Plane result(plane.w, plane.h);
    for (int y = 0; y < plane.h; y++) {
        for (int x = 0; x < plane.w; x++)
            result.row(x)[y] = plane.row(y)[x];
    }
    return result;
}

// Rows filtered: `before` zeros (negative: pixels less), then `size` pixels come out.
static Plane filtered(const Plane& plane, const std::vector<float>& filter, int before, int size)
{
    Plane result(plane.h, size);
    for (int y = 0; y < plane.h; y++) {
        for (int x = 0; x < size; x++) {
            for (int k = 0; k < (int)filter.size(); k++) {
                const int from = x + k - before;
                if (from >= 0 && from < plane.w)
                    result.row(y)[x] += filter[k] * plane.row(y)[from];
            }
        }
    }
    return result;
}

ncnn::Mat conv_oracle(const ConvCase& c, const ConvData& data)
{
    // The border of a transposed convolution is its kernel less one, and its kernel is turned round.
    const int border = c.up == 1 ? c.padding : c.kernel_h - 1;
    std::vector<Plane> planes;
    for (int i = 0; i < c.inputs; i++)
        planes.push_back(spread(c, data, i, border));
    ncnn::Mat y = zeros({c.outputs, c.out_h(), c.out_w()});
    for (int o = 0; o < c.outputs; o++) {
        Plane sum(planes[0].h - c.kernel_h + 1, planes[0].w - c.kernel_w + 1);
        for (int i = 0; i < c.inputs; i++) {
            for (int k = 0; k < c.kernel_h * c.kernel_w; k++) {
                const int tap = c.up == 1 ? k : c.kernel_h * c.kernel_w - 1 - k;
                const double w = data.weights[((size_t)o * c.inputs + i) * c.kernel_h * c.kernel_w + tap];
                for (int row = 0; row < sum.h; row++) {
                    const double* from = planes[i].row(row + k / c.kernel_w) + k % c.kernel_w;
                    double* to = sum.row(row);
                    for (int x = 0; x < sum.w; x++)
                        to[x] += w * from[x];
                }
            }
        }
        if (c.up == 2) {
            const int before = c.padding + ((int)c.filter.size() + 1) / 2 - (c.kernel_h - 1);
            sum = filtered(sum, c.filter, before, c.out_w());
            sum = turned(filtered(turned(sum), c.filter, before, c.out_h()));
        }
        for (int row = 0; row < y.h; row++) {
            for (int x = 0; x < y.w; x++) {
                double v = sum.row(row)[x] * data.scale_out[o] + data.bias[o];
                if (c.noise)
                    v += data.noise[(size_t)row * y.w + x];
                if (c.residual)
                    v += data.residual[((size_t)o * y.h + row) * y.w + x];
                v *= v >= 0 ? c.positive : c.slopes ? data.slopes[o] : c.negative;
                v = v < -c.limit ? -c.limit : v > c.limit ? c.limit : v;
                y.channel(o).row(row)[x] = (float)v;
            }
        }
    }
    return y;
}

Conv conv_of(const ConvCase& c)
{
    Conv conv;
    conv.inputs = c.inputs;
    conv.outputs = c.outputs;
    conv.kernel_h = c.kernel_h;
    conv.kernel_w = c.kernel_w;
    conv.up = c.up;
    conv.set_padding(c.padding);
    conv.pad_bottom += c.more_below;
    conv.pad_right += c.more_right;
    conv.height = c.height;
    conv.width = c.width;
    conv.filter = c.filter;
    if (c.late)
        conv.late_from = 0;
    return conv;
}

custom_layers::ConvSharing sharing_of(const Conv& conv, const ConvCase& c, int threads)
{
    ncnn::Mat x, y; // sizes only
    x.w = c.width;
    x.h = c.height;
    x.c = c.inputs;
    y.w = c.out_w();
    y.h = c.out_h();
    y.c = c.outputs;
    x.elempack = y.elempack = 1;
    ncnn::Option opt;
    opt.num_threads = threads;
    custom_layers::ConvArguments arguments;
    arguments.x = &x;
    return conv.sharing(arguments, y, opt);
}

std::string ConvForm::name() const
{
    return text("%s x_pack=%d y_pack=%d threads=%d shift=%d", kernels ? kernels->name : "scalar", x_pack,
                y_pack, threads, shift);
}

std::vector<const FirKernels*> conv_kernel_sets()
{
    std::vector<const FirKernels*> sets;
    for (const FirKernels* const* next = custom_layers::fir_kernels(); *next; next++)
        sets.push_back(*next);
    sets.push_back(nullptr);
    return sets;
}

namespace
{
// Memory that is NaN until it is written, and of the size that was asked for.
class NanAllocator : public ncnn::Allocator
{
public:
    void* fastMalloc(size_t size) override
    {
        void* block = nullptr;
        if (posix_memalign(&block, 64, size) != 0)
            return nullptr;
        memset(block, 0xff, size);
        return block;
    }

    void fastFree(void* block) override { free(block); }
};

// A packed blob between numbers that nobody may change; it ends with its last pixel.
class Guarded
{
public:
    Guarded(int channels, int h, int w, int pack, int shift) : guard_(64 + shift)
    {
        ncnn::Mat sizes(w, h, channels / pack, nullptr, 4u * pack, pack);
        const size_t gap = (sizes.cstep - (size_t)w * h) * pack;
        count_ = sizes.cstep * sizes.c * pack - gap;
        void* block = nullptr;
        if (posix_memalign(&block, 64, (guard_ + count_ + 64) * sizeof(float)) != 0)
            abort();
        block_ = (float*)block;
        std::fill_n(block_, guard_ + count_ + 64, kGuard);
        mat = ncnn::Mat(w, h, channels / pack, block_ + guard_, 4u * pack, pack);
        for (int c = 0; c < mat.c; c++)
            std::fill_n((float*)mat.data + mat.cstep * c * pack, (size_t)w * h * pack, NAN);
    }
    ~Guarded() { free(block_); }
    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;

    bool intact() const
    {
        const size_t pixels = (size_t)mat.w * mat.h * mat.elempack;
        const size_t step = mat.cstep * mat.elempack;
        for (size_t i = 0; i < guard_ + count_ + 64; i++) {
            const bool inside = i >= guard_ && i < guard_ + count_ && (i - guard_) % step < pixels;
            if (!inside && block_[i] != kGuard)
                return false;
        }
        return true;
    }

    ncnn::Mat mat;

private:
    static constexpr float kGuard = -12345.f;

    size_t guard_;
    size_t count_;
    float* block_;
};

// A copy of x [channels, h, w] that is packed, and no larger than its pixels: a sanitizer sees what is read
// behind it.
struct Exact {
    Exact(int channels, int h, int w, const float* x, int pack, int shift)
    {
        ncnn::Mat sizes(w, h, channels / pack, nullptr, 4u * pack, pack);
        const size_t pixels = (size_t)w * h;
        const size_t count = (sizes.cstep * (sizes.c - 1) + pixels) * pack + shift;
        void* memory = nullptr;
        if (posix_memalign(&memory, 64, count * sizeof(float)) != 0)
            abort();
        block = (float*)memory;
        std::fill_n(block, count, NAN);
        mat = ncnn::Mat(w, h, channels / pack, block + shift, 4u * pack, pack);
        for (int i = 0; i < channels; i++) {
            float* to = (float*)mat.data + mat.cstep * (i - i % pack) + i % pack;
            for (size_t p = 0; p < pixels; p++)
                to[p * pack] = x[i * pixels + p];
        }
    }
    ~Exact() { free(block); }
    Exact(const Exact&) = delete;
    Exact& operator=(const Exact&) = delete;

    ncnn::Mat mat;
    float* block;
};
} // namespace

ncnn::Mat run_conv(const Conv& conv, const ConvCase& c, const ConvData& data, const ConvForm& form)
{
    NanAllocator allocator;
    ncnn::Option opt;
    opt.num_threads = form.threads;
    opt.workspace_allocator = &allocator;
    std::vector<std::unique_ptr<Exact>> parts;
    std::vector<ncnn::Mat> x;
    const float* values = data.x.data();
    for (int channels : c.parts.empty() ? std::vector<int>{c.inputs} : c.parts) {
        const int pack = channels % form.x_pack == 0 ? form.x_pack : 1; // each its own
        parts.emplace_back(new Exact(channels, c.height, c.width, values, pack, form.shift));
        x.push_back(parts.back()->mat);
        values += (size_t)channels * c.height * c.width;
    }
    std::unique_ptr<Exact> residual;
    if (c.residual)
        residual.reset(
            new Exact(c.outputs, c.out_h(), c.out_w(), data.residual.data(), form.y_pack, form.shift));
    Guarded y(c.outputs, c.out_h(), c.out_w(), form.y_pack, form.shift);
    custom_layers::ConvArguments arguments;
    arguments.x = x.data();
    arguments.parts = (int)x.size();
    arguments.scale_in = c.scaled ? data.scale_in.data() : nullptr;
    arguments.scale_out = c.scaled ? data.scale_out.data() : nullptr;
    arguments.bias = data.bias.data();
    arguments.negative = c.slopes ? data.slopes.data() : nullptr;
    arguments.noise = c.noise ? data.noise.data() : nullptr;
    arguments.residual = residual ? &residual->mat : nullptr;
    arguments.activation.positive = c.positive;
    arguments.activation.negative = c.negative;
    arguments.activation.limit = c.limit;
    const int status = form.kernels ? conv.run(arguments, y.mat, opt)
                                    : conv.run_scalar(data.weights.data(), arguments, y.mat, opt);
    ncnn::Mat result;
    if (!check(y.intact(), "%s %s: something beside y was written", c.name().c_str(), form.name().c_str()) ||
        status != 0)
        return result;
    result = zeros({c.outputs, c.out_h(), c.out_w()});
    const size_t pixels = (size_t)result.w * result.h;
    for (int o = 0; o < c.outputs; o++) {
        const int pack = form.y_pack;
        const float* from = (const float*)y.mat.data + y.mat.cstep * (o - o % pack) + o % pack;
        float* to = result.channel(o);
        for (size_t p = 0; p < pixels; p++)
            to[p] = from[p * pack];
    }
    return result;
}

double conv_tolerance(custom_layers::ConvScheme scheme)
{
    const bool direct = scheme == custom_layers::kConvDirect || scheme == custom_layers::kConvUpDirect;
    return direct ? 2e-6 : 3e-5;
}

const char* scheme_name(custom_layers::ConvScheme scheme)
{
    static const char* const names[] = {"direct", "winograd4", "winograd6", "up-direct", "up-winograd"};
    return names[scheme];
}
