// The body of fir_kernels.h for one instruction set. CMakeLists.txt makes a source of it for each: FIR_ISA is
// the name, and the compiler is told to use that set.
//
// Nothing here may have external linkage but the one table at the end, and nothing of the standard library
// may be instantiated: the linker would keep one copy of an inline function for the whole program, perhaps
// this one, and run it on a machine that has no such instructions.
#include "fir_kernels.h"

#include <string.h>

namespace
{
using custom_layers::FirActivation;
using custom_layers::FirSum;
using custom_layers::kFirLanes;

#if defined(__AVX512F__)
enum { kWidth = 16, kMostPixels = 16 };
#elif defined(__AVX__)
enum { kWidth = 8, kMostPixels = 8 };
#else
enum { kWidth = 4, kMostPixels = 8 };
#endif

// kWidth floats, which the compiler keeps in one register.
#if defined(__GNUC__)
typedef float Vec __attribute__((vector_size(4 * kWidth)));

inline Vec select_negative(Vec v, Vec a, Vec b) { return v < 0.f ? a : b; }
inline Vec limit_value(Vec v, Vec low, Vec high)
{
    v = high < v ? high : v;
    return low > v ? low : v;
}
inline Vec all(float v) { return v - Vec{}; }
#else
struct Vec {
    float v[kWidth];
};

template <typename F> inline Vec each(const F& f)
{
    Vec r;
    for (int i = 0; i < kWidth; i++)
        r.v[i] = f(i);
    return r;
}
inline Vec operator+(const Vec& a, const Vec& b)
{
    return each([&](int i) { return a.v[i] + b.v[i]; });
}
inline Vec operator*(const Vec& a, const Vec& b)
{
    return each([&](int i) { return a.v[i] * b.v[i]; });
}
inline Vec select_negative(const Vec& v, const Vec& a, const Vec& b)
{
    return each([&](int i) { return v.v[i] < 0.f ? a.v[i] : b.v[i]; });
}
inline Vec limit_value(const Vec& v, const Vec& low, const Vec& high)
{
    return each([&](int i) {
        return v.v[i] < low.v[i] ? low.v[i] : v.v[i] > high.v[i] ? high.v[i] : v.v[i];
    });
}
inline Vec all(float v)
{
    return each([&](int) { return v; });
}
#endif

inline Vec load(const float* from)
{
    Vec v;
    memcpy(&v, from, sizeof(v));
    return v;
}

inline void store(float* to, const Vec& v) { memcpy(to, &v, sizeof(v)); }

struct Linear {
    Vec operator()(Vec v) const { return v; }
};

struct Activate {
    explicit Activate(const FirActivation& a)
        : positive(all(a.positive)), negative(all(a.negative)), low(all(-a.limit)), high(all(a.limit))
    {
    }
    Vec operator()(Vec v) const { return limit_value(v * select_negative(v, negative, positive), low, high); }
    Vec positive, negative, low, high;
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
            total[i] = all(0.f);
        for (int k = 0; k < sum.count; k++) {
            const Vec tap = all(sum.taps[k]);
            const float* from = base + sum.offsets[k];
            for (int i = 0; i < size; i++)
                total[i] = total[i] + tap * load(from + i * step * kFirLanes);
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

void add(const float* a, const float* b, float* to, int pixels)
{
    for (int i = 0; i < pixels * kFirLanes; i += kWidth)
        store(to + i, load(a + i) + load(b + i));
}

template <int pack>
inline void gather_packed(const float* const* from, const float* scale, const float* bias, float* to,
                          int pixels)
{
    for (int lane = 0; lane < kFirLanes; lane += pack) {
        const float* source = from[lane / pack];
        float s[pack];
        float b[pack];
        for (int k = 0; k < pack; k++) {
            s[k] = scale[lane + k];
            b[k] = bias[lane + k];
        }
        for (int i = 0; i < pixels; i++) {
            for (int k = 0; k < pack; k++)
                to[i * kFirLanes + lane + k] = source ? source[i * pack + k] * s[k] + b[k] : 0.f;
        }
    }
}

void gather(const float* const* from, int pack, const float* scale, const float* bias, float* to, int pixels)
{
    if (pack == 16)
        gather_packed<16>(from, scale, bias, to, pixels);
    else if (pack == 8)
        gather_packed<8>(from, scale, bias, to, pixels);
    else if (pack == 4)
        gather_packed<4>(from, scale, bias, to, pixels);
    else
        gather_packed<1>(from, scale, bias, to, pixels);
}

template <int pack> inline void scatter_packed(const float* from, float* const* to, int pixels)
{
    for (int lane = 0; lane < kFirLanes; lane += pack) {
        float* target = to[lane / pack];
        if (!target)
            continue;
        for (int i = 0; i < pixels; i++)
            memcpy(target + i * pack, from + i * kFirLanes + lane, pack * sizeof(float));
    }
}

void scatter(const float* from, float* const* to, int pack, int pixels)
{
    if (pack == 16)
        scatter_packed<16>(from, to, pixels);
    else if (pack == 8)
        scatter_packed<8>(from, to, pixels);
    else if (pack == 4)
        scatter_packed<4>(from, to, pixels);
    else
        scatter_packed<1>(from, to, pixels);
}
} // namespace

#define FIR_JOIN_(a, b) a##b
#define FIR_JOIN(a, b) FIR_JOIN_(a, b)
#define FIR_TEXT_(a) #a
#define FIR_TEXT(a) FIR_TEXT_(a)

namespace custom_layers
{
extern const FirKernels FIR_JOIN(fir_kernels_, FIR_ISA);
const FirKernels FIR_JOIN(fir_kernels_,
                          FIR_ISA) = {FIR_TEXT(FIR_ISA), sum_rows, sum_activate, add, gather, scatter};
} // namespace custom_layers
