// The body of conv_kernels.h for one instruction set. CMakeLists.txt makes a source of it for each: KERNEL_ISA is the
// name, and the compiler is told to use that set. What fir_kernels.inc.h says of linkage holds here.
#include "conv_kernels.h"

#include <string.h>

namespace
{
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

template <int groups, int columns>
void gemm_block(const float* weights, const float* values, ptrdiff_t value_step, int inputs, float* sums,
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
                weight[j] = load(weights + j * kWidth);
            weights += vectors * kWidth;
            for (int t = 0; t < columns; t++) {
                const Vec value = broadcast(values[t * kConvLanes + lane]);
                for (int j = 0; j < vectors; j++)
                    total[t][j] = total[t][j] + value * weight[j];
            }
        }
        values += value_step;
    }
    for (int t = 0; t < columns; t++) {
        for (int j = 0; j < vectors; j++)
            store(sums + j / kParts * sum_step + t * kConvLanes + j % kParts * kWidth, total[t][j]);
    }
}

typedef void (*GemmBlock)(const float*, const float*, ptrdiff_t, int, float*, ptrdiff_t, bool);

template <int groups, int columns> struct GemmBlocks {
    static GemmBlock of(int count)
    {
        if constexpr (columns > 1) {
            if (count < columns)
                return GemmBlocks<groups, columns - 1>::of(count);
        }
        return gemm_block<groups, columns>;
    }
};

// In blocks of almost the same size: a small one would wait for its loads.
void gemm(const float* weights, int groups, const float* values, ptrdiff_t value_step, int inputs, float* sums,
          ptrdiff_t sum_step, int tiles, bool add)
{
    const int blocks = (tiles + kColumns - 1) / kColumns;
    for (int b = 0, done = 0; b < blocks; b++) {
        const int count = (tiles - done + blocks - b - 1) / (blocks - b);
        const GemmBlock block = groups == kGroups ? GemmBlocks<kGroups, kColumns>::of(count) : GemmBlocks<1, kColumns>::of(count);
        block(weights, values + done * kConvLanes, value_step, inputs, sums + done * kConvLanes, sum_step, add);
        done += count;
    }
}

template <typename Transform>
inline void transform_input(const float* rows, ptrdiff_t row_step, float* to, ptrdiff_t value_step, int tiles)
{
    enum { tile = Transform::kTile, values = Transform::kValues };
    for (int t = 0; t < tiles; t++, rows += Transform::kStep * kConvLanes, to += kConvLanes) {
        for (int part = 0; part < kConvLanes; part += kWidth) {
            Vec half[values][tile]; // transformed along x, as [x, y]
            for (int y = 0; y < tile; y++) {
                Vec d[tile];
                Vec v[values];
                for (int x = 0; x < tile; x++)
                    d[x] = load(rows + y * row_step + x * kConvLanes + part);
                Transform::input(d, v);
                for (int x = 0; x < values; x++)
                    half[x][y] = v[x];
            }
            for (int x = 0; x < values; x++) {
                Vec v[values];
                Transform::input(half[x], v);
                for (int y = 0; y < values; y++)
                    store(to + (y * values + x) * value_step + part, v[y]);
            }
        }
    }
}

void input(ConvScheme scheme, int kernel_h, int kernel_w, const float* rows, ptrdiff_t row_step, float* to,
           ptrdiff_t value_step, int tiles)
{
    switch (scheme) {
    case custom_layers::kConvWinograd4:
        return transform_input<Winograd4>(rows, row_step, to, value_step, tiles);
    case custom_layers::kConvWinograd6:
        return transform_input<Winograd6>(rows, row_step, to, value_step, tiles);
    case custom_layers::kConvUpDirect:
        return transform_input<UpDirect>(rows, row_step, to, value_step, tiles);
    case custom_layers::kConvUpWinograd:
        return transform_input<UpWinograd>(rows, row_step, to, value_step, tiles);
    case custom_layers::kConvDirect:
        break;
    }
    for (int y = 0; y < kernel_h; y++) {
        for (int x = 0; x < kernel_w; x++, to += value_step)
            memcpy(to, rows + y * row_step + x * kConvLanes, tiles * kConvLanes * sizeof(float));
    }
}

template <typename Transform>
inline void transform_output(const float* sums, ptrdiff_t sum_step, float* rows, ptrdiff_t row_step, int tiles)
{
    enum { values = Transform::kValues, pixels = Transform::kPixels };
    for (int t = 0; t < tiles; t++, sums += kConvLanes, rows += pixels * kConvLanes) {
        for (int part = 0; part < kConvLanes; part += kWidth) {
            Vec half[pixels][values]; // transformed along x, as [x, y]
            for (int y = 0; y < values; y++) {
                Vec m[values];
                Vec p[pixels];
                for (int x = 0; x < values; x++)
                    m[x] = load(sums + (y * values + x) * sum_step + part);
                Transform::output(m, p);
                for (int x = 0; x < pixels; x++)
                    half[x][y] = p[x];
            }
            for (int x = 0; x < pixels; x++) {
                Vec p[pixels];
                Transform::output(half[x], p);
                for (int y = 0; y < pixels; y++)
                    store(rows + y * row_step + x * kConvLanes + part, p[y]);
            }
        }
    }
}

void output(ConvScheme scheme, const float* sums, ptrdiff_t sum_step, float* rows, ptrdiff_t row_step, int tiles)
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

void finish(const ConvFinish& f, const float* from, const float* noise, float* to, int pixels)
{
    const Activate activate(f.activation);
    for (int part = 0; part < kConvLanes; part += kWidth) {
        const Vec scale = load(f.scale + part);
        const Vec bias = load(f.bias + part);
        if (noise) {
            for (int i = 0; i < pixels; i++)
                store(to + i * kConvLanes + part,
                      activate(load(from + i * kConvLanes + part) * scale + (bias + broadcast(noise[i]))));
        } else {
            for (int i = 0; i < pixels; i++)
                store(to + i * kConvLanes + part, activate(load(from + i * kConvLanes + part) * scale + bias));
        }
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
                    half[p][x] = load(w[x] + part) * broadcast(g[0]) + load(w[3 + x] + part) * broadcast(g[1]) +
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

void weights(const float* transform, int points, int taps, const float* const* rows, int inputs, float* to,
             ptrdiff_t matrix_step, int step)
{
    if (transform)
        return transform_weights(transform, points, rows, inputs, to, matrix_step, step);
    for (int i = 0; i < inputs; i++, to += step) {
        for (int lane = 0; lane < kConvLanes; lane++) {
            for (int k = 0; k < taps; k++)
                to[k * matrix_step + lane] = rows[lane] ? rows[lane][i * taps + k] : 0.f;
        }
    }
}
} // namespace

#define KERNEL_JOIN_(a, b) a##b
#define KERNEL_JOIN(a, b) KERNEL_JOIN_(a, b)
#define KERNEL_TEXT_(a) #a
#define KERNEL_TEXT(a) KERNEL_TEXT_(a)

namespace custom_layers
{
extern const ConvKernels KERNEL_JOIN(conv_kernels_, KERNEL_ISA);
const ConvKernels KERNEL_JOIN(conv_kernels_, KERNEL_ISA) = {
    KERNEL_TEXT(KERNEL_ISA), kGroups* kConvLanes, kColumns, weights, input, gemm, output, finish};
} // namespace custom_layers
