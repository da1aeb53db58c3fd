#include "conv.h"

#include "fir.h"

#include <cpu.h>

#include <algorithm>
#include <cmath>

namespace custom_layers
{
namespace
{
// Transforms of three taps, one row for each point; the other halves are in conv_transforms.inc.h.
const float kWeights6[8][3] = {{1.f, 0.f, 0.f},
                               {-2.f / 9, -2.f / 9, -2.f / 9},
                               {-2.f / 9, 2.f / 9, -2.f / 9},
                               {1.f / 90, 1.f / 45, 2.f / 45},
                               {1.f / 90, -1.f / 45, 2.f / 45},
                               {32.f / 45, 16.f / 45, 8.f / 45},
                               {32.f / 45, -16.f / 45, 8.f / 45},
                               {0.f, 0.f, 1.f}};
const float kWeights4[6][3] = {{4.f, 0.f, 0.f},
                               {2.f / 3, 2.f / 3, 2.f / 3},
                               {2.f / 3, -2.f / 3, 2.f / 3},
                               {-8.f / 3, -4.f / 3, -2.f / 3},
                               {-8.f / 3, 4.f / 3, -2.f / 3},
                               {0.f, 0.f, 1.f}};
// Of a transposed convolution: F(5, 2) of (w2, w0), and w1.
const float kWeightsUp[7][3] = {
    {0.f, 0.f, 4.f},          {2.f / 3, 0.f, 2.f / 3}, {-2.f / 3, 0.f, 2.f / 3}, {-4.f / 3, 0.f, -8.f / 3},
    {4.f / 3, 0.f, -8.f / 3}, {1.f, 0.f, 0.f},         {0.f, 1.f, 0.f}};

ConvTiles direct_tiles(int kernel_h, int kernel_w)
{
    ConvTiles tiles;
    tiles.tile_h = kernel_h;
    tiles.tile_w = kernel_w;
    tiles.values = tiles.matrices = kernel_h * kernel_w;
    for (int k = 0; k < tiles.values; k++)
        tiles.products.push_back({0, k, k, k > 0});
    return tiles;
}

ConvTiles winograd_tiles(ConvScheme scheme, int tile, int pixels, const float* transform)
{
    ConvTiles tiles;
    tiles.scheme = scheme;
    tiles.tile_h = tiles.tile_w = tile;
    tiles.step = tiles.pixels = pixels;
    tiles.values = tiles.sums = tiles.matrices = tile * tile;
    tiles.transform = transform;
    tiles.points = tile;
    for (int k = 0; k < tiles.values; k++)
        tiles.products.push_back({k, k, k, false});
    return tiles;
}

// Pixel 2q + r of an axis takes, of d[q - 1] and d[q], both with taps 2 and 0 where r is 0, and d[q] with tap
// 1 where r is 1.
ConvTiles up_direct_tiles()
{
    ConvTiles tiles;
    tiles.scheme = kConvUpDirect;
    tiles.tile_h = tiles.tile_w = 2;
    tiles.pixels = 2;
    tiles.values = tiles.sums = 4;
    tiles.matrices = 9;
    const auto tap = [](int phase, int position) { return phase == 1 ? 1 : position == 0 ? 2 : 0; };
    for (int sum = 0; sum < 4; sum++) {
        bool add = false;
        for (int y = sum / 2; y < 2; y++) {
            for (int x = sum % 2; x < 2; x++, add = true)
                tiles.products.push_back({sum, 2 * y + x, 3 * tap(sum / 2, y) + tap(sum % 2, x), add});
        }
    }
    return tiles;
}

ConvTiles up_winograd_tiles()
{
    ConvTiles tiles;
    tiles.scheme = kConvUpWinograd;
    const int points = 6, pixels = 5; // those of F(5, 2), and those that are taken as they are
    tiles.tile_h = tiles.tile_w = points;
    tiles.step = pixels;
    tiles.pixels = 2 * pixels;
    const int values = points + pixels;
    tiles.values = tiles.sums = values * values;
    tiles.transform = kWeightsUp[0];
    tiles.points = points + 1;
    tiles.matrices = tiles.points * tiles.points;
    // Pixels taken as they are share a matrix, so their products come one after the other.
    for (int matrix = 0; matrix < tiles.matrices; matrix++) {
        const int y0 = matrix / tiles.points, x0 = matrix % tiles.points;
        for (int y = y0; y < (y0 == points ? values : y0 + 1); y++) {
            for (int x = x0; x < (x0 == points ? values : x0 + 1); x++)
                tiles.products.push_back({values * y + x, values * y + x, matrix, false});
        }
    }
    return tiles;
}

// What a scheme costs for each pair of channels, as multiplications with additions. Values and sums go
// through memory, and a weight comes from far away and stays in memory, so each costs as much as some of
// them. The factors are measured: time, but not at the price of memory, of 16 to 512 channels of 4 to 532
// pixels on 2 cores with AVX-512.
double cost(const ConvTiles& tiles, const Conv& conv, int made_h, int made_w)
{
    const double kPixel = 150, kWeight = 82;
    const int rows = (made_h + tiles.pixels - 1) / tiles.pixels;
    const int columns = (made_w + tiles.pixels - 1) / tiles.pixels;
    const double each = tiles.products.size() +
                        kPixel * ((double)tiles.values / conv.outputs + (double)tiles.sums / conv.inputs);
    return each * rows * columns + kWeight * tiles.matrices;
}
} // namespace

void Conv::choose(bool winograd)
{
    std::vector<ConvTiles> options;
    if (up == 2) {
        options.push_back(up_direct_tiles());
        if (winograd)
            options.push_back(up_winograd_tiles());
    } else {
        options.push_back(direct_tiles(kernel_h, kernel_w));
        if (winograd && kernel_h == 3 && kernel_w == 3) {
            options.push_back(winograd_tiles(kConvWinograd4, 6, 4, kWeights4[0]));
            if (kernels_->rounds_once())
                options.push_back(winograd_tiles(kConvWinograd6, 8, 6, kWeights6[0]));
        }
    }
    tiles_ =
        *std::min_element(options.begin(), options.end(), [this](const ConvTiles& a, const ConvTiles& b) {
            return cost(a, *this, made_h(height), made_w(width)) <
                   cost(b, *this, made_h(height), made_w(width));
        });
}

bool Conv::transforms_late() const
{
    if (!tiles_.transform || (double)tiles_.matrices * inputs * outputs * sizeof(float) < late_from)
        return false;
    const double tiles = (double)((made_h(height) + tiles_.pixels - 1) / tiles_.pixels) *
                         ((made_w(width) + tiles_.pixels - 1) / tiles_.pixels);
    return tiles_.late_work() <= 0.1 * (double)tiles_.products.size() * tiles;
}

// Sizes are at most 2^15 each, so that products of two fit an int.
int Conv::check_sizes(const ncnn::Layer& layer) const
{
    if (check_size(layer, height, width) != 0)
        return -1;
    if ((double)outputs * inputs * kernel_h * kernel_w > 1 << 29)
        return fail(layer, "expects at most 2^29 weights, got %d * %d * %d * %d", outputs, inputs, kernel_h,
                    kernel_w);
    return 0;
}

int Conv::check_size(const ncnn::Layer& layer, int h, int w) const
{
    if (out_height(h) < 1 || out_width(w) < 1)
        return fail(layer, "expects a kernel of at most the padded x, got %dx%d", kernel_h, kernel_w);
    // Counts of pixels fit an int, with room for the border of a filter.
    const double pixels = std::max((double)h * w * up * up, (double)out_height(h) * out_width(w));
    if (pixels > 1 << 28)
        return fail(layer, "expects at most 2^28 pixels, got %d * %d and %d * %d", h, w, out_height(h),
                    out_width(w));
    return 0;
}

int Conv::check_inputs(const ncnn::Layer& layer, const ncnn::Mat& x, const ncnn::Mat& styles) const
{
    if (!prepared())
        return fail(layer, "create_pipeline was not called");
    if (x.dims != 3 || outer_size(x) != inputs || x.h != height || x.w != width)
        return fail(layer, "expects x of [%d, %d, %d], got %s", inputs, height, width,
                    shape_string(x).c_str());
    if (styles.dims != 1 || outer_size(styles) != inputs)
        return fail(layer, "expects styles of [%d], got %s", inputs, shape_string(styles).c_str());
    return 0;
}

void Conv::rows_of(const float* weights, int group, const float** rows) const
{
    const size_t taps = (size_t)kernel_h * kernel_w;
    for (int lane = 0; lane < kConvLanes; lane++) {
        const int o = group * kConvLanes + lane;
        rows[lane] = o < outputs ? weights + (size_t)o * inputs * taps : nullptr;
    }
}

ConvNumbers ConvNumbers::of(const ncnn::Option& opt)
{
    return {opt.use_fp16_arithmetic, opt.use_fp16_storage, opt.use_bf16_packed ? bf16_kernels() : nullptr};
}

int Conv::create(const ncnn::Layer& layer, ncnn::Mat& weight, const ncnn::Option& opt)
{
    if (weight.empty())
        return fail(layer, "has no weights: load_model was not called or failed");
    if (prepare(weight, opt.use_winograd_convolution, *fir_kernels()[0], ConvNumbers::of(opt)) != 0)
        return fail(layer, "out of memory for the weights");
    weight.release();
    return 0;
}

int Conv::prepare(const float* weights, bool winograd, const FirKernels& kernels, const ConvNumbers& numbers)
{
    const bool many = outputs > kConvFew; // few take the weights as floats
    const ConvKernels* bf16 = many ? numbers.bf16 : nullptr;
    kernels_ = &conv_kernels(kernels);
    choose(winograd);
    late_ = !bf16 && transforms_late(); // in bfloat16 transformed weights are half as large
    const bool half = numbers.half && !tiles_.transform && many;
    const ConvKernels& conv = bf16 ? *bf16 : conv_kernels(kernels, half);
    kernels_ = &conv;
    weight_rows_ = inputs;
    if (bf16 || (many && numbers.narrow && conv.gemm_narrow))
        return prepare_narrow(weights, kernels);
    const int groups = (outputs + kConvLanes - 1) / kConvLanes;
    const size_t matrix = (size_t)inputs * groups * kConvLanes;
    weights_.create((int)matrix, kept_matrices());
    if (weights_.empty())
        return -1;
    const int panel_groups = conv.panel / kConvLanes;
#pragma omp parallel for schedule(dynamic)
    for (int group = 0; group < groups; group++) {
        const float* rows[kConvLanes];
        rows_of(weights, group, rows);
        const int first = group / panel_groups * panel_groups; // of its panel
        const int width = std::min(panel_groups, groups - first) * kConvLanes;
        float* to = (float*)weights_ + (size_t)first * kConvLanes * inputs + (group - first) * kConvLanes;
        conv.weights(kept_transform(), tiles_.points, kernel_h * kernel_w, rows, inputs, to,
                     (ptrdiff_t)matrix, width);
    }
    fir_ = &kernels;
    return 0;
}

// The power of two by which the largest of so many weights is 2^9 to 2^10: Winograd's transforms make of it
// numbers up to 22 times as large and down to 1e-4 of it, all of which float16 holds with all digits (2^-14
// to 2^16).
static float scale_for_half(const float* weights, size_t count)
{
    float largest = 0.f;
    for (size_t i = 0; i < count; i++)
        largest = std::max(largest, std::fabs(weights[i]));
    if (!(largest > 0.f) || !std::isfinite(largest))
        return 1.f;
    int exponent;
    std::frexp(largest, &exponent);
    return std::ldexp(1.f, std::max(-100, std::min(10 - exponent, 100)));
}

// The same in 16 bits: of 16 outputs at once there are floats too.
int Conv::prepare_narrow(const float* weights, const FirKernels& kernels)
{
    const int groups = (outputs + kConvLanes - 1) / kConvLanes;
    const int depth = kernels_->depth;
    weight_rows_ = (inputs + depth - 1) / depth * depth;
    const size_t matrix = (size_t)weight_rows_ * groups * kConvLanes;
    const size_t own = (size_t)inputs * kConvLanes;
    weights_.create((int)matrix, kept_matrices(), (size_t)2u);
    if (depth == 1) // bfloat16 has the exponents of floats
        weight_scale_ = scale_for_half(weights, (size_t)outputs * inputs * kernel_h * kernel_w);
    const int threads = std::min(ncnn::get_omp_num_threads(), groups);
    ncnn::Mat floats((int)(own * kept_matrices()), threads);
    if (weights_.empty() || floats.empty())
        return -1;
    const int panel_groups = kernels_->panel / kConvLanes;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int group = 0; group < groups; group++) {
        const float* rows[kConvLanes];
        rows_of(weights, group, rows);
        float* made = floats.row(ncnn::get_omp_thread_num());
        kernels_->weights(kept_transform(), tiles_.points, kernel_h * kernel_w, rows, inputs, made,
                          (ptrdiff_t)own, kConvLanes);
        const int first = group / panel_groups * panel_groups; // of its panel
        const int width = std::min(panel_groups, groups - first) * kConvLanes;
        for (int k = 0; k < kept_matrices(); k++, made += own) {
            uint16_t* to = weights_.row<uint16_t>(k) + (size_t)first * kConvLanes * weight_rows_ +
                           (size_t)(group - first) * kConvLanes * depth;
            for (size_t i = 0; i < own; i++)
                made[i] *= weight_scale_;
            kernels_->narrow(made, inputs, to, width);
        }
    }
    fir_ = &kernels;
    return 0;
}

int Conv::run_scalar(const float* weights, const ConvArguments& arguments, ncnn::Mat& top,
                     const ncnn::Option& opt) const
{
    const int height = arguments.x[0].h, width = arguments.x[0].w;
    const auto value = [](const ncnn::Mat& m, int c, int y, int column) {
        const float* channel = (const float*)m.data + m.cstep * (size_t)(c - c % m.elempack);
        return channel[((size_t)y * m.w + column) * m.elempack + c % m.elempack];
    };
    const int made_height = made_h(height);
    const int made_width = made_w(width);
    const int threads = std::max(1, std::min(opt.num_threads, outputs));
    // Before the threads start: nothing may be thrown in them.
    ncnn::Mat planes(made_width, made_height, threads, (size_t)4u, opt.workspace_allocator);
    if (planes.empty())
        return -1;
#pragma omp parallel for num_threads(threads)
    for (int o = 0; o < outputs; o++) {
        float* made = planes.channel(ncnn::get_omp_thread_num());
        std::fill_n(made, (size_t)made_height * made_width, 0.f);
        const float* w = weights + (size_t)o * inputs * kernel_h * kernel_w;
        const ncnn::Mat* x = arguments.x;
        for (int i = 0, channel = 0; i < inputs; i++, channel++) {
            if (channel == outer_size(*x)) {
                x++;
                channel = 0;
            }
            for (int ky = 0; ky < kernel_h; ky++) {
                for (int kx = 0; kx < kernel_w; kx++, w++) {
                    const float tap = arguments.scale_in ? *w * arguments.scale_in[i] : *w;
                    for (int y = 0; y < height; y++) {
                        const int to_y = up == 1 ? y + pad_top - ky : 2 * y + ky;
                        if (to_y < 0 || to_y >= made_height)
                            continue;
                        for (int column = 0; column < width; column++) {
                            const int to_x = up == 1 ? column + pad_left - kx : 2 * column + kx;
                            if (to_x >= 0 && to_x < made_width)
                                made[(size_t)to_y * made_width + to_x] += tap * value(*x, channel, y, column);
                        }
                    }
                }
            }
        }
        FirActivation activation = arguments.activation;
        if (arguments.negative)
            activation.negative = arguments.negative[o];
        float* to = (float*)top.data + top.cstep * (size_t)(o - o % top.elempack) + o % top.elempack;
        for (int y = 0; y < top.h; y++) {
            for (int column = 0; column < top.w; column++, to += top.elempack) {
                float v = 0.f;
                if (up == 1) {
                    v = made[(size_t)y * made_width + column];
                } else {
                    for (size_t ky = 0; ky < filter.size(); ky++) {
                        for (size_t kx = 0; kx < filter.size(); kx++) {
                            const int from_y = y + (int)ky - border_before(kernel_h);
                            const int from_x = column + (int)kx - border_before(kernel_w);
                            if (from_y >= 0 && from_y < made_height && from_x >= 0 && from_x < made_width)
                                v += filter[ky] * filter[kx] * made[(size_t)from_y * made_width + from_x];
                        }
                    }
                }
                v = (arguments.scale_out ? v * arguments.scale_out[o] : v) + arguments.bias[o];
                if (arguments.noise)
                    v += arguments.noise[(size_t)y * top.w + column];
                if (arguments.residual)
                    v += value(*arguments.residual, o, y, column);
                *to = activate(activation, v) + 0.f; // no negative zero
            }
        }
    }
    return 0;
}

} // namespace custom_layers
