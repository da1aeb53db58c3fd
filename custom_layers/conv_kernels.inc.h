// The body of conv_kernels.h for one instruction set. CMakeLists.txt makes a source of it for each:
// KERNEL_ISA is the name, and the compiler is told to use that set. What fir_kernels.inc.h says of linkage
// holds here.
#include "conv_kernels.h"

#include <stdint.h>
#include <string.h>
#if defined(__AVX512F__) || defined(__F16C__)
#include <immintrin.h>
#if !defined(KERNEL_BF16)
#define KERNEL_NARROW
#endif
#elif defined(__aarch64__) && !defined(KERNEL_HALF) && !defined(KERNEL_BF16)
#include <arm_neon.h>
#define KERNEL_NARROW
#endif
#if defined(KERNEL_HALF)
#include <arm_neon.h>

#include <type_traits>
#endif

namespace
{
using custom_layers::ConvAddends;
using custom_layers::ConvFinish;
using custom_layers::ConvScheme;
using custom_layers::FirActivation;
using custom_layers::kConvLanes;

#include "vec.inc.h"

#include "conv_transforms.inc.h"

// The block of sums that stays in registers: kGroups times 16 channels, kColumns tiles.
#if defined(__AVX512F__)
enum { kGroups = 2, kColumns = 12 };
#elif defined(__AVX__)
enum { kGroups = 1, kColumns = 6 };
#elif defined(__aarch64__)
enum { kGroups = 1, kColumns = 6 };
#else
enum { kGroups = 1, kColumns = 2 };
#endif

enum { kParts = kConvLanes / kWidth }; // vectors of 16 channels

inline Vec load_weights(const float* from) { return load(from); }

#if defined(KERNEL_NARROW)
inline Vec load_weights(const uint16_t* from)
{
    Vec v;
#if defined(__AVX512F__)
    const __m512 wide = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)from));
#elif defined(__aarch64__)
    const float32x4_t wide = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from)));
#else
    const __m256 wide = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)from));
#endif
    memcpy(&v, &wide, sizeof(v));
    return v;
}

void narrow(const float* from, int inputs, uint16_t* to, int step)
{
    for (int row = 0; row < inputs; row++, from += kConvLanes, to += step) {
        for (int i = 0; i < kConvLanes; i += kWidth) {
#if defined(__AVX512F__)
            _mm256_storeu_si256((__m256i*)(to + i), _mm512_cvtps_ph(_mm512_loadu_ps(from + i), 0));
#elif defined(__aarch64__)
            vst1_u16(to + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(from + i))));
#else
            _mm_storeu_si128((__m128i*)(to + i), _mm256_cvtps_ph(_mm256_loadu_ps(from + i), 0));
#endif
        }
    }
}
#endif

#if defined(KERNEL_HALF)
#include "conv_half.inc.h"
#elif defined(KERNEL_BF16)
#include "conv_bf16.inc.h"
#else
template <typename Weight, int groups, int columns>
void gemm_block(const Weight* weights, const float* values, ptrdiff_t value_step, int inputs, float* sums,
                ptrdiff_t sum_step, bool add)
{
    const int vectors = groups * kParts;
    Vec total[columns][vectors];
    for (int t = 0; t < columns; t++) {
        for (int j = 0; j < vectors; j++) {
            const float* from = sums + j / kParts * sum_step + t * kConvLanes + j % kParts * kWidth;
            total[t][j] = add ? load(from) : broadcast(0.f);
        }
    }
    for (int first = 0; first < inputs; first += kConvLanes) {
        const int lanes = inputs - first < kConvLanes ? inputs - first : (int)kConvLanes;
        for (int lane = 0; lane < lanes; lane++) {
            Vec weight[vectors];
            for (int j = 0; j < vectors; j++)
                weight[j] = load_weights(weights + j * kWidth);
            weights += vectors * kWidth;
            for (int t = 0; t < columns; t++) {
                const Vec value = broadcast(values[t * kConvLanes + lane]);
                for (int j = 0; j < vectors; j++)
                    total[t][j] = multiply_add(value, weight[j], total[t][j]);
            }
        }
        values += value_step;
    }
    for (int t = 0; t < columns; t++) {
        for (int j = 0; j < vectors; j++)
            store(sums + j / kParts * sum_step + t * kConvLanes + j % kParts * kWidth, total[t][j]);
    }
}

#endif

template <typename Weight>
using GemmBlock = void (*)(const Weight*, const float*, ptrdiff_t, int, float*, ptrdiff_t, bool);

template <typename Weight, int groups, int columns> struct GemmBlocks {
    static GemmBlock<Weight> of(int count)
    {
        if constexpr (columns > 1) {
            if (count < columns)
                return GemmBlocks<Weight, groups, columns - 1>::of(count);
        }
        return gemm_block<Weight, groups, columns>;
    }
};

// In blocks of almost the same size: a small one would wait for its loads.
template <typename Weight>
void gemm(const Weight* weights, int groups, const float* values, ptrdiff_t value_step, int inputs,
          float* sums, ptrdiff_t sum_step, int tiles, bool add)
{
    const int blocks = (tiles + kColumns - 1) / kColumns;
    for (int b = 0, done = 0; b < blocks; b++) {
        const int count = (tiles - done + blocks - b - 1) / (blocks - b);
        const GemmBlock<Weight> block = groups == kGroups ? GemmBlocks<Weight, kGroups, kColumns>::of(count)
                                                          : GemmBlocks<Weight, 1, kColumns>::of(count);
        block(weights, values + done * kConvLanes, value_step, inputs, sums + done * kConvLanes, sum_step,
              add);
        done += count;
    }
}

// To a blob: it is read when it is no longer in any near cache, so it need not displace what is there.
inline void stream(float* to, const Vec& v)
{
#if defined(__AVX512F__)
    if (((uintptr_t)to & 63) == 0)
        return _mm512_stream_ps(to, (__m512)v);
#endif
    store(to, v);
}

// Other threads see what was streamed.
inline void end_stream()
{
#if defined(__AVX512F__)
    _mm_sfence();
#endif
}

struct AsItIs {
    Vec operator()(Vec v) const { return v; }
};

struct Times {
    Vec factor;
    Vec operator()(Vec v) const { return v * factor; }
};

// One tile, of kWidth channels; `lanes` floats from a pixel to the next.
template <typename Transform, int lanes, typename F>
inline void input_tile(const float* rows, ptrdiff_t row_step, const F& f, float* to, ptrdiff_t value_step)
{
    enum { tile = Transform::kTile, values = Transform::kValues };
    Vec half[values][tile]; // transformed along x, as [x, y]
    for (int y = 0; y < tile; y++) {
        Vec d[tile];
        Vec v[values];
        for (int x = 0; x < tile; x++)
            d[x] = f(load(rows + y * row_step + x * lanes));
        Transform::input(d, v);
        for (int x = 0; x < values; x++)
            half[x][y] = v[x];
    }
    for (int x = 0; x < values; x++) {
        Vec v[values];
        Transform::input(half[x], v);
        for (int y = 0; y < values; y++)
            store(to + (y * values + x) * value_step, v[y]);
    }
}

struct Input {
    const float* rows;
    ptrdiff_t row_step;
    ptrdiff_t part_step;
    const float* scale;
    float* to;
    ptrdiff_t value_step;
    int tiles;

    template <typename Transform> void transform() const
    {
        for (int part = 0; part < kParts; part++) {
            if (part_step == 0)
                tiles_of<Transform, kConvLanes>(part, rows + part * kWidth);
            else
                tiles_of<Transform, kWidth>(part, rows + part * part_step);
        }
    }

    template <typename Transform, int lanes> void tiles_of(int part, const float* from) const
    {
        float* at = to + part * kWidth;
        if (scale) {
            const Times times = {load(scale + part * kWidth)};
            for (int t = 0; t < tiles; t++)
                input_tile<Transform, lanes>(from + t * Transform::kStep * lanes, row_step, times,
                                             at + t * kConvLanes, value_step);
        } else {
            for (int t = 0; t < tiles; t++)
                input_tile<Transform, lanes>(from + t * Transform::kStep * lanes, row_step, AsItIs(),
                                             at + t * kConvLanes, value_step);
        }
    }

    void pixels(int kernel_h, int kernel_w) const
    {
        const int lanes = part_step == 0 ? (int)kConvLanes : (int)kWidth;
        for (int part = 0; part < kParts; part++) {
            const float* from = rows + part * (part_step == 0 ? (ptrdiff_t)kWidth : part_step);
            const Vec factor = scale ? load(scale + part * kWidth) : broadcast(1.f);
            float* at = to + part * kWidth;
            for (int y = 0; y < kernel_h; y++) {
                for (int x = 0; x < kernel_w; x++, at += value_step) {
                    for (int t = 0; t < tiles; t++)
                        store(at + t * kConvLanes, load(from + y * row_step + (x + t) * lanes) * factor);
                }
            }
        }
    }
};

void input(ConvScheme scheme, int kernel_h, int kernel_w, const float* rows, ptrdiff_t row_step,
           ptrdiff_t part_step, const float* scale, float* to, ptrdiff_t value_step, int tiles)
{
    const Input in = {rows, row_step, part_step, scale, to, value_step, tiles};
    switch (scheme) {
    case custom_layers::kConvWinograd4:
        return in.transform<Winograd4>();
    case custom_layers::kConvWinograd6:
        return in.transform<Winograd6>();
    case custom_layers::kConvUpDirect:
        return in.transform<UpDirect>();
    case custom_layers::kConvUpWinograd:
        return in.transform<UpWinograd>();
    case custom_layers::kConvDirect:
        return in.pixels(kernel_h, kernel_w);
    }
}

struct StorePixels {
    ptrdiff_t row_step;
    void operator()(float* rows, int y, int x, Vec v) const
    {
        store(rows + y * row_step + x * kConvLanes, v);
    }
};

enum Addend { kNothing, kNoise, kResidual };

inline Addend kind_of(const ConvAddends& a) { return a.noise ? kNoise : a.residual ? kResidual : kNothing; }

// Activate with the factors of `part` of 16 channels. Zeros are positive, as those of a ReLU by its
// definition: a negative number times 0 is not.
struct ActivateChannels {
    ActivateChannels(const ConvFinish& f, int part) : activate(f.activation)
    {
        activate.negative = load(f.negative + part * kWidth);
    }
    Vec operator()(Vec v) const { return activate(v) + Vec{}; }
    Activate activate;
};

template <Addend addend> struct FinishPixels {
    ptrdiff_t row_step;
    ActivateChannels activate;
    Vec scale;
    Vec bias;
    const float* added;
    ptrdiff_t added_step;
    void operator()(float* rows, int y, int x, Vec v) const
    {
        Vec more = bias;
        if (addend == kNoise)
            more = bias + broadcast(added[y * added_step + x]);
        if (addend == kResidual)
            more = bias + load(added + y * added_step + x * kWidth);
        stream(rows + y * row_step + x * kWidth, activate(multiply_add(v, scale, more)));
    }
};

// One tile, of kWidth channels.
template <typename Transform, typename F>
inline void output_tile(const float* sums, ptrdiff_t sum_step, const F& put, float* rows)
{
    enum { values = Transform::kValues, pixels = Transform::kPixels };
    Vec half[pixels][values]; // transformed along x, as [x, y]
    for (int y = 0; y < values; y++) {
        Vec m[values];
        Vec p[pixels];
        for (int x = 0; x < values; x++)
            m[x] = load(sums + (y * values + x) * sum_step);
        Transform::output(m, p);
        for (int x = 0; x < pixels; x++)
            half[x][y] = p[x];
    }
    for (int x = 0; x < pixels; x++) {
        Vec p[pixels];
        Transform::output(half[x], p);
        for (int y = 0; y < pixels; y++)
            put(rows, y, x, p[y]);
    }
}

template <typename Transform>
inline void transform_output(const float* sums, ptrdiff_t sum_step, float* rows, ptrdiff_t row_step,
                             int tiles)
{
    const ptrdiff_t step = Transform::kPixels * kConvLanes;
    for (int t = 0; t < tiles; t++) {
        for (int part = 0; part < kConvLanes; part += kWidth)
            output_tile<Transform>(sums + t * kConvLanes + part, sum_step, StorePixels{row_step},
                                   rows + t * step + part);
    }
}

void output(ConvScheme scheme, const float* sums, ptrdiff_t sum_step, float* rows, ptrdiff_t row_step,
            int tiles)
{
    switch (scheme) {
    case custom_layers::kConvWinograd4:
        return transform_output<Winograd4>(sums, sum_step, rows, row_step, tiles);
    case custom_layers::kConvWinograd6:
        return transform_output<Winograd6>(sums, sum_step, rows, row_step, tiles);
    case custom_layers::kConvUpDirect:
        return transform_output<UpDirect>(sums, sum_step, rows, row_step, tiles);
    case custom_layers::kConvUpWinograd:
        return transform_output<UpWinograd>(sums, sum_step, rows, row_step, tiles);
    case custom_layers::kConvDirect:
        memcpy(rows, sums, tiles * kConvLanes * sizeof(float));
    }
}

struct Output {
    const float* sums;
    ptrdiff_t sum_step;
    const ConvFinish& f;
    const ConvAddends& addends;
    float* rows;
    ptrdiff_t row_step;
    ptrdiff_t part_step;
    int tiles;

    template <typename Transform> void transform() const
    {
        const Addend kind = kind_of(addends);
        if (kind == kNoise)
            finished<Transform, kNoise>();
        else if (kind == kResidual)
            finished<Transform, kResidual>();
        else
            finished<Transform, kNothing>();
    }

    template <typename Transform, Addend addend> void finished() const
    {
        for (int part = 0; part < kParts; part++) {
            const bool noise = addend == kNoise;
            FinishPixels<addend> put = {row_step,
                                        ActivateChannels(f, part),
                                        load(f.scale + part * kWidth),
                                        load(f.bias + part * kWidth),
                                        noise ? addends.noise : addends.residual,
                                        noise ? addends.noise_step : row_step};
            if (addend == kResidual)
                put.added += part * addends.residual_part;
            for (int t = 0; t < tiles; t++) {
                output_tile<Transform>(sums + t * kConvLanes + part * kWidth, sum_step, put,
                                       rows + part * part_step + t * Transform::kPixels * kWidth);
                if (addend != kNothing)
                    put.added += Transform::kPixels * (noise ? 1 : (int)kWidth);
            }
        }
        end_stream();
    }
};

void output_packed(ConvScheme scheme, const float* sums, ptrdiff_t sum_step, const ConvFinish& f,
                   const ConvAddends& addends, float* rows, ptrdiff_t row_step, ptrdiff_t part_step,
                   int tiles)
{
    const Output out = {sums, sum_step, f, addends, rows, row_step, part_step, tiles};
    if (scheme == custom_layers::kConvWinograd6)
        out.transform<Winograd6>();
    else
        out.transform<Winograd4>();
}

// `lanes` floats from a pixel to the next.
template <int lanes, typename Put>
inline void finish_pixels(const ConvFinish& f, const float* from, const ConvAddends& addends,
                          ptrdiff_t residual_part, float* to, ptrdiff_t part_step, int pixels, const Put& put)
{
    const Addend kind = kind_of(addends);
    for (int part = 0; part < kParts; part++, from += kWidth, to += part_step) {
        const ActivateChannels activate(f, part);
        const Vec scale = load(f.scale + part * kWidth);
        const Vec bias = load(f.bias + part * kWidth);
        if (kind == kNoise) {
            const float* noise = addends.noise;
            for (int i = 0; i < pixels; i++)
                put(to + i * lanes,
                    activate(multiply_add(load(from + i * kConvLanes), scale, bias + broadcast(noise[i]))));
        } else if (kind == kResidual) {
            const float* residual = addends.residual + part * residual_part;
            for (int i = 0; i < pixels; i++)
                put(to + i * lanes, activate(multiply_add(load(from + i * kConvLanes), scale,
                                                          bias + load(residual + i * lanes))));
        } else {
            for (int i = 0; i < pixels; i++)
                put(to + i * lanes, activate(multiply_add(load(from + i * kConvLanes), scale, bias)));
        }
    }
}

void finish(const ConvFinish& f, const float* from, const ConvAddends& addends, float* to, int pixels)
{
    finish_pixels<kConvLanes>(f, from, addends, kWidth, to, kWidth, pixels,
                              [](float* at, const Vec& v) { store(at, v); });
}

void finish_packed(const ConvFinish& f, const float* from, const ConvAddends& addends, float* to,
                   ptrdiff_t part_step, int pixels)
{
    finish_pixels<kWidth>(f, from, addends, addends.residual_part, to, part_step, pixels,
                          [](float* at, const Vec& v) { stream(at, v); });
    end_stream();
}

inline Vec weighted(const float* const* rows, const Vec* taps, ptrdiff_t at)
{
    return multiply_add(load(rows[0] + at), taps[0], load(rows[1] + at) * taps[1]) +
           multiply_add(load(rows[2] + at), taps[2], load(rows[3] + at) * taps[3]);
}

void filter_packed(const float* const* rows, const float* taps, const ConvFinish& f,
                   const ConvAddends& addends, float* to, ptrdiff_t part_step, int pixels)
{
    const float* noise = addends.noise;
    const Vec t[4] = {broadcast(taps[0]), broadcast(taps[1]), broadcast(taps[2]), broadcast(taps[3])};
    for (int part = 0; part < kParts; part++, to += part_step) {
        const ptrdiff_t from = part * kWidth;
        const ActivateChannels activate(f, part);
        const Vec scale = load(f.scale + from);
        const Vec bias = load(f.bias + from);
        // The last four columns, of which the oldest one is overwritten.
        Vec column[4];
        for (int i = 0; i < 3; i++)
            column[i] = weighted(rows, t, from + i * kConvLanes);
        const auto pixel = [&](int i, int age) {
            column[(age + 3) % 4] = weighted(rows, t, from + (ptrdiff_t)(i + 3) * kConvLanes);
            const Vec sum = multiply_add(column[age], t[0], column[(age + 1) % 4] * t[1]) +
                            multiply_add(column[(age + 2) % 4], t[2], column[(age + 3) % 4] * t[3]);
            const Vec added = noise ? bias + broadcast(noise[i]) : bias;
            stream(to + (ptrdiff_t)i * kWidth, activate(multiply_add(sum, scale, added)));
        };
        int i = 0;
        for (; i + 4 <= pixels; i += 4) {
            pixel(i, 0);
            pixel(i + 1, 1);
            pixel(i + 2, 2);
            pixel(i + 3, 3);
        }
        for (int age = 0; i < pixels; i++, age++)
            pixel(i, age);
    }
    end_stream();
}

// The sum of all lanes.
inline float total(const Vec& v)
{
    float lanes[kWidth];
    store(lanes, v);
    float sums[4] = {};
    for (int i = 0; i < kWidth; i++)
        sums[i % 4] += lanes[i];
    return (sums[0] + sums[2]) + (sums[1] + sums[3]);
}

template <int outputs>
inline void dots_of(const float* weights, const float* x, ptrdiff_t part_step, int parts, float* sums,
                    ptrdiff_t sum_step, int pixels)
{
    enum { kPixels = 4 };
    for (int first = 0; first < pixels; first += kPixels) {
        const int count = pixels - first < kPixels ? pixels - first : (int)kPixels;
        Vec sum[outputs][kPixels];
        for (int o = 0; o < outputs; o++) {
            for (int i = 0; i < kPixels; i++)
                sum[o][i] = broadcast(0.f);
        }
        for (int part = 0; part < parts; part++) {
            const float* from = x + part * part_step + (ptrdiff_t)first * kWidth;
            for (int i = 0; i < kPixels; i++) {
                const Vec v = load(from + (i < count ? i : 0) * kWidth);
                for (int o = 0; o < outputs; o++)
                    sum[o][i] =
                        multiply_add(v, load(weights + ((ptrdiff_t)o * parts + part) * kWidth), sum[o][i]);
            }
        }
        for (int o = 0; o < outputs; o++) {
            for (int i = 0; i < count; i++)
                sums[o * sum_step + first + i] = total(sum[o][i]);
        }
    }
}

void dots(const float* weights, int outputs, const float* x, ptrdiff_t part_step, int parts, float* sums,
          ptrdiff_t sum_step, int pixels)
{
    switch (outputs) {
    case 1:
        return dots_of<1>(weights, x, part_step, parts, sums, sum_step, pixels);
    case 2:
        return dots_of<2>(weights, x, part_step, parts, sums, sum_step, pixels);
    case 3:
        return dots_of<3>(weights, x, part_step, parts, sums, sum_step, pixels);
    default:
        return dots_of<4>(weights, x, part_step, parts, sums, sum_step, pixels);
    }
}

// G * w * G^T for 16 output channels side by side.
void transform_weights(const float* transform, int points, const float* const* rows, int inputs, float* to,
                       ptrdiff_t matrix_step, int step)
{
    enum { kTaps = 9, kMostPoints = 8 };
    for (int i = 0; i < inputs; i++, to += step) {
        float w[kTaps][kConvLanes] = {};
        for (int lane = 0; lane < kConvLanes; lane++) {
            if (!rows[lane])
                continue;
            for (int k = 0; k < kTaps; k++)
                w[k][lane] = rows[lane][i * kTaps + k];
        }
        for (int part = 0; part < kConvLanes; part += kWidth) {
            Vec half[kMostPoints][3]; // transformed along y
            for (int p = 0; p < points; p++) {
                const float* g = transform + 3 * p;
                for (int x = 0; x < 3; x++)
                    half[p][x] = load(w[x] + part) * broadcast(g[0]) +
                                 load(w[3 + x] + part) * broadcast(g[1]) +
                                 load(w[6 + x] + part) * broadcast(g[2]);
            }
            for (int p = 0; p < points; p++) {
                for (int q = 0; q < points; q++) {
                    const float* g = transform + 3 * q;
                    store(to + (p * points + q) * matrix_step + part, half[p][0] * broadcast(g[0]) +
                                                                          half[p][1] * broadcast(g[1]) +
                                                                          half[p][2] * broadcast(g[2]));
                }
            }
        }
    }
}

template <typename Weight>
void point(const float* of_row, const float* transform, int points, const Weight* taps, ptrdiff_t tap_step,
           float* to, ptrdiff_t matrix_step, ptrdiff_t count)
{
    for (ptrdiff_t i = 0; i < count; i += kWidth) {
        Vec half[3];
        for (int x = 0; x < 3; x++)
            half[x] = load_weights(taps + x * tap_step + i) * broadcast(of_row[0]) +
                      load_weights(taps + (3 + x) * tap_step + i) * broadcast(of_row[1]) +
                      load_weights(taps + (6 + x) * tap_step + i) * broadcast(of_row[2]);
        for (int q = 0; q < points; q++) {
            const float* g = transform + 3 * q;
            store(to + q * matrix_step + i,
                  half[0] * broadcast(g[0]) + half[1] * broadcast(g[1]) + half[2] * broadcast(g[2]));
        }
    }
}

void weights(const float* transform, int points, int taps, const float* const* rows, int inputs, float* to,
             ptrdiff_t matrix_step, int step)
{
    if (transform) {
        transform_weights(transform, points, rows, inputs, to, matrix_step, step);
    } else {
        for (int i = 0; i < inputs; i++) {
            for (int lane = 0; lane < kConvLanes; lane++) {
                for (int k = 0; k < taps; k++)
                    to[k * matrix_step + i * step + lane] = rows[lane] ? rows[lane][i * taps + k] : 0.f;
            }
        }
    }
#if defined(KERNEL_HALF)
    const int matrices = transform ? points * points : taps;
    for (int k = 0; k < matrices; k++)
        halve_weights(to + k * matrix_step, inputs);
#endif
}

// volatile: it is not the compiler that says so.
bool rounds_once()
{
#if defined(__wasm_relaxed_simd__)
    const float eps = 1.f / 4096;
    volatile float factor = 1 + eps;
    const Vec v = broadcast(factor);
    return total(multiply_add(v, v, broadcast(-(1 + 2 * eps)))) !=
           0; // 4 * eps^2, which the product alone loses
#elif defined(__wasm__)
    return false;
#else
    return true;
#endif
}
} // namespace

namespace custom_layers
{
extern const ConvKernels KERNEL_JOIN(conv_kernels_, KERNEL_ISA);
const ConvKernels KERNEL_JOIN(conv_kernels_, KERNEL_ISA) = {KERNEL_TEXT(KERNEL_ISA),
                                                            kGroups * kConvLanes,
                                                            kWidth,
                                                            kColumns,
                                                            weights,
                                                            point<float>,
#if defined(KERNEL_NARROW)
                                                            point<uint16_t>,
#else
                                                            nullptr,
#endif
                                                            input,
#if defined(KERNEL_BF16)
                                                            2,
                                                            nullptr,
                                                            gemm<uint16_t>,
                                                            narrow,
#elif defined(KERNEL_NARROW)
                                                            1,
                                                            gemm<float>,
                                                            gemm<uint16_t>,
                                                            narrow,
#else
                                                            1,
                                                            gemm<float>,
                                                            nullptr,
                                                            nullptr,
#endif
                                                            output,
                                                            output_packed,
                                                            finish,
                                                            finish_packed,
                                                            filter_packed,
                                                            dots,
                                                            rounds_once};
} // namespace custom_layers
