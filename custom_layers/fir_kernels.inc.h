// The body of fir_kernels.h for one instruction set. CMakeLists.txt makes a source of it for each: KERNEL_ISA
// is the name, and the compiler is told to use that set.
//
// Nothing here may have external linkage but the one table at the end, and nothing of the standard library
// may be instantiated: the linker would keep one copy of an inline function for the whole program, perhaps
// this one, and run it on a machine that has no such instructions.
#include "fir_kernels.h"

#include <stdint.h>
#include <string.h>

namespace
{
using custom_layers::FirActivation;
using custom_layers::FirFold;
using custom_layers::FirPair;
using custom_layers::FirSum;
using custom_layers::kFirLanes;
using custom_layers::kFirMostPixels;

#include "vec.inc.h"

#if defined(__AVX512F__)
enum { kMostPixels = kFirMostPixels };
#else
enum { kMostPixels = 8 };
#endif

struct Linear {
    Vec operator()(Vec v) const { return v; }
};

// The sums of `size` pixels side by side stay in registers while the taps go by; each tap costs one load and
// one multiplication with addition for each vector, which is what processors of today can do in the same
// time.
template <int size, int fixed_step, typename F>
inline void sum_pixels(const FirSum& sum, const F& f, float* to, int to_step, int from_pixel)
{
    const int step = fixed_step ? fixed_step : sum.step;
    for (int part = 0; part < kFirLanes; part += kWidth) {
        const float* base = sum.base + (ptrdiff_t)from_pixel * step * kFirLanes + part;
        Vec total[size];
        for (int i = 0; i < size; i++)
            total[i] = broadcast(0.f);
        for (int k = 0; k < sum.count; k++) {
            const Vec tap = broadcast(sum.taps[k]);
            const float* from = base + sum.offsets[k];
            for (int i = 0; i < size; i++)
                total[i] = multiply_add(tap, load(from + i * step * kFirLanes), total[i]);
        }
        for (int i = 0; i < size; i++)
            store(to + (ptrdiff_t)(from_pixel + i) * to_step * kFirLanes + part, f(total[i]));
    }
}

template <int size, int fixed_step, typename F>
inline void sum_all(const FirSum& sum, const F& f, float* to, int to_step, int done, int pixels)
{
    for (; done + size <= pixels; done += size)
        sum_pixels<size, fixed_step>(sum, f, to, to_step, done);
    if constexpr (size > 1)
        sum_all<size / 2, fixed_step>(sum, f, to, to_step, done, pixels);
}

void sum_rows(const FirSum& sum, float* to, int to_step, int pixels)
{
    if (sum.step == 1)
        sum_all<kMostPixels, 1>(sum, Linear(), to, to_step, 0, pixels);
    else if (sum.step == 2)
        sum_all<kMostPixels, 2>(sum, Linear(), to, to_step, 0, pixels);
    else
        sum_all<kMostPixels, 0>(sum, Linear(), to, to_step, 0, pixels);
}

void sum_activate(const FirSum& sum, const FirActivation& activation, float* to, int to_step, int pixels)
{
    const Activate f(activation);
    if (sum.step == 1)
        sum_all<kMostPixels, 1>(sum, f, to, to_step, 0, pixels);
    else
        sum_all<kMostPixels, 0>(sum, f, to, to_step, 0, pixels);
}

template <int size, int fixed_step>
inline void fold_pixels(const FirFold& fold, const int* offsets, float* to, int from_pixel)
{
    const int step = fixed_step ? fixed_step : fold.step;
    const int wide = (size - 1) * step + fold.w;
    for (int part = 0; part < kFirLanes; part += kWidth) {
        const float* base = fold.base + (ptrdiff_t)from_pixel * step * kFirLanes + part;
        Vec total[size];
        for (int i = 0; i < size; i++)
            total[i] = broadcast(0.f);
        for (int k = 0; k < (fold.h + 1) / 2; k++) {
            const float* from = base + offsets[k];
            if (k != fold.h - 1 - k) {
                const float* mirrored = base + offsets[fold.h - 1 - k];
                for (int i = 0; i < wide; i++)
                    store(fold.scratch + i * kFirLanes,
                          load(from + i * kFirLanes) + load(mirrored + i * kFirLanes));
                from = fold.scratch;
            }
            for (int j = 0; j < fold.w; j++, from += kFirLanes) {
                const Vec tap = broadcast(fold.taps[k * fold.w + j]);
                for (int i = 0; i < size; i++)
                    total[i] = multiply_add(tap, load(from + i * step * kFirLanes), total[i]);
            }
        }
        for (int i = 0; i < size; i++)
            store(to + (ptrdiff_t)(from_pixel + i) * kFirLanes + part, total[i]);
    }
}

// Both sums of some pixels before the next ones: they read almost the same rows.
template <int size, int fixed_step>
inline void fold_all(const FirFold& fold, float* to, float* to_next, int done, int pixels)
{
    for (; done + size <= pixels; done += size) {
        fold_pixels<size, fixed_step>(fold, fold.offsets, to, done);
        if (to_next)
            fold_pixels<size, fixed_step>(fold, fold.offsets + fold.next_step, to_next, done);
    }
    if constexpr (size > 1)
        fold_all<size / 2, fixed_step>(fold, to, to_next, done, pixels);
}

void sum_folded(const FirFold& fold, float* to, float* to_next, int pixels)
{
    if (fold.step == 2)
        fold_all<kMostPixels, 2>(fold, to, to_next, 0, pixels);
    else
        fold_all<kMostPixels, 0>(fold, to, to_next, 0, pixels);
}

template <int size> inline void pair_pixels(const FirPair& pair, float* to, float* to_next, int from_pixel)
{
    const int begin = pair.shift < pair.count ? pair.shift : pair.count; // rows of both sums, to count
    for (int part = 0; part < kFirLanes; part += kWidth) {
        const ptrdiff_t at = (ptrdiff_t)from_pixel * kFirLanes + part;
        const float* base = pair.base + at;
        Vec total[size];
        Vec total_next[size];
        for (int i = 0; i < size; i++)
            total[i] = total_next[i] = broadcast(0.f);
        for (int k = 0; k < begin; k++) {
            const Vec tap = broadcast(pair.taps[k]);
            for (int i = 0; i < size; i++)
                total[i] = multiply_add(tap, load(base + pair.offsets[k] + i * kFirLanes), total[i]);
        }
        for (int k = begin; k < pair.count; k++) {
            const Vec tap = broadcast(pair.taps[k]);
            const Vec tap_next = broadcast(pair.taps_next[k - pair.shift]);
            for (int i = 0; i < size; i++) {
                const Vec v = load(base + pair.offsets[k] + i * kFirLanes);
                total[i] = multiply_add(tap, v, total[i]);
                total_next[i] = multiply_add(tap_next, v, total_next[i]);
            }
        }
        const int rest = pair.count > pair.shift ? pair.count : pair.shift;
        for (int k = rest; k < pair.shift + pair.count_next; k++) {
            const Vec tap = broadcast(pair.taps_next[k - pair.shift]);
            for (int i = 0; i < size; i++)
                total_next[i] =
                    multiply_add(tap, load(base + pair.offsets[k] + i * kFirLanes), total_next[i]);
        }
        for (int i = 0; i < size; i++) {
            store(to + at + i * kFirLanes, total[i]);
            store(to_next + at + i * kFirLanes, total_next[i]);
        }
    }
}

template <int size> inline void pair_all(const FirPair& pair, float* to, float* to_next, int done, int pixels)
{
    for (; done + size <= pixels; done += size)
        pair_pixels<size>(pair, to, to_next, done);
    if constexpr (size > 1)
        pair_all<size / 2>(pair, to, to_next, done, pixels);
}

void sum_pair(const FirPair& pair, float* to, float* to_next, int pixels)
{
    pair_all<kMostPixels / 2>(pair, to, to_next, 0, pixels);
}

// Asks for `count` floats that are `ahead` of `from`, into the second cache: the first one has no room for
// what is a row away. They need not exist.
inline void prefetch(const float* from, ptrdiff_t ahead, int count)
{
#if defined(__GNUC__)
    const uintptr_t next = (uintptr_t)from + (uintptr_t)ahead * sizeof(float);
    for (int i = 0; i < count; i += 16)
        __builtin_prefetch((const void*)(next + i * sizeof(float)), 0, 2);
#else
    (void)from;
    (void)ahead;
    (void)count;
#endif
}

#if defined(__clang__)
#define FIR_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#elif defined(__GNUC__)
typedef int FourOrder __attribute__((vector_size(16)));
#define FIR_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, FourOrder{__VA_ARGS__})
#endif

// A square of 4 rows of 4 floats to the other order.
inline void transpose(const float* const from[4], float* const to[4])
{
#if defined(__GNUC__)
    typedef float Four __attribute__((vector_size(16)));
    Four rows[4];
    for (int i = 0; i < 4; i++)
        memcpy(&rows[i], from[i], sizeof(Four));
    const Four low01 = FIR_SHUFFLE(rows[0], rows[1], 0, 4, 1, 5);
    const Four low23 = FIR_SHUFFLE(rows[2], rows[3], 0, 4, 1, 5);
    const Four high01 = FIR_SHUFFLE(rows[0], rows[1], 2, 6, 3, 7);
    const Four high23 = FIR_SHUFFLE(rows[2], rows[3], 2, 6, 3, 7);
    const Four columns[4] = {FIR_SHUFFLE(low01, low23, 0, 1, 4, 5), FIR_SHUFFLE(low01, low23, 2, 3, 6, 7),
                             FIR_SHUFFLE(high01, high23, 0, 1, 4, 5),
                             FIR_SHUFFLE(high01, high23, 2, 3, 6, 7)};
    for (int i = 0; i < 4; i++)
        memcpy(to[i], &columns[i], sizeof(Four));
#else
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < 4; j++)
            to[j][i] = from[i][j];
    }
#endif
}

template <int pack> inline void gather_packed(const float* const* from, float* to, int pixels)
{
    for (int lane = 0; lane < kFirLanes; lane += pack) {
        const float* source = from[lane / pack];
        for (int i = 0; i < pixels; i++)
            memcpy(to + i * kFirLanes + lane, source + i * pack, pack * sizeof(float));
    }
}

inline void gather_planes(const float* const* from, float* to, int pixels)
{
    for (int lane = 0; lane < kFirLanes; lane += 4) {
        const float* const* source = from + lane;
        int i = 0;
        for (; i + 4 <= pixels; i += 4) {
            const float* const rows[4] = {source[0] + i, source[1] + i, source[2] + i, source[3] + i};
            float* first = to + i * kFirLanes + lane;
            float* const columns[4] = {first, first + kFirLanes, first + 2 * kFirLanes,
                                       first + 3 * kFirLanes};
            transpose(rows, columns);
        }
        for (; i < pixels; i++) {
            for (int k = 0; k < 4; k++)
                to[i * kFirLanes + lane + k] = source[k][i];
        }
    }
}

void gather(const float* const* from, int pack, ptrdiff_t ahead, const float* scale, const float* bias,
            float* to, int pixels)
{
    for (int i = 0; i < kFirLanes / pack; i++)
        prefetch(from[i], ahead, pixels * pack);
    const float* packed = to;
    if (pack == 16)
        packed = from[0];
    else if (pack == 8)
        gather_packed<8>(from, to, pixels);
    else if (pack == 4)
        gather_packed<4>(from, to, pixels);
    else
        gather_planes(from, to, pixels);
    for (int part = 0; part < kFirLanes; part += kWidth) {
        const Vec s = load(scale + part);
        const Vec b = load(bias + part);
        for (int i = 0; i < pixels; i++)
            store(to + i * kFirLanes + part, load(packed + i * kFirLanes + part) * s + b);
    }
}

template <int pack> inline void scatter_packed(const float* from, float* const* to, int pixels)
{
    for (int lane = 0; lane < kFirLanes; lane += pack) {
        float* target = to[lane / pack];
        for (int i = 0; i < pixels; i++)
            memcpy(target + i * pack, from + i * kFirLanes + lane, pack * sizeof(float));
    }
}

inline void scatter_planes(const float* from, float* const* to, int pixels)
{
    for (int lane = 0; lane < kFirLanes; lane += 4) {
        float* const* target = to + lane;
        int i = 0;
        for (; i + 4 <= pixels; i += 4) {
            const float* first = from + i * kFirLanes + lane;
            const float* const rows[4] = {first, first + kFirLanes, first + 2 * kFirLanes,
                                          first + 3 * kFirLanes};
            float* const columns[4] = {target[0] + i, target[1] + i, target[2] + i, target[3] + i};
            transpose(rows, columns);
        }
        for (; i < pixels; i++) {
            for (int k = 0; k < 4; k++)
                target[k][i] = from[i * kFirLanes + lane + k];
        }
    }
}

void scatter(const float* from, float* const* to, int pack, ptrdiff_t ahead, int pixels)
{
    if (pack == 16)
        scatter_packed<16>(from, to, pixels);
    else if (pack == 8)
        scatter_packed<8>(from, to, pixels);
    else if (pack == 4)
        scatter_packed<4>(from, to, pixels);
    else
        scatter_planes(from, to, pixels);
    for (int i = 0; i < kFirLanes / pack; i++)
        prefetch(to[i], ahead, pixels * pack);
}
} // namespace

namespace custom_layers
{
extern const FirKernels KERNEL_JOIN(fir_kernels_, KERNEL_ISA);
const FirKernels KERNEL_JOIN(fir_kernels_, KERNEL_ISA) = {
    KERNEL_TEXT(KERNEL_ISA), sum_rows, sum_activate, sum_pair, sum_folded, gather, scatter};
} // namespace custom_layers
