// A vector register of floats for the kernels that are compiled once for each instruction set. Included into
// the unnamed namespace of such a source only: whatever has external linkage here could be kept by the linker
// for the whole program, and run on a machine that has no such instructions.

#if defined(__AVX512F__)
enum { kWidth = 16 };
#elif defined(__AVX__)
enum { kWidth = 8 };
#else
enum { kWidth = 4 };
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
inline Vec broadcast(float v) { return v - Vec{}; }
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
inline Vec operator-(const Vec& a, const Vec& b)
{
    return each([&](int i) { return a.v[i] - b.v[i]; });
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
inline Vec broadcast(float v)
{
    return each([&](int) { return v; });
}
#endif

// c + a * b and c - a * b, rounded once where the set has that: compilers make it of sums with products, but
// not that of relaxed SIMD.
#if defined(__wasm_relaxed_simd__)
inline Vec multiply_add(Vec a, Vec b, Vec c) { return __builtin_wasm_fma_f32x4(a, b, c); }
inline Vec multiply_subtract(Vec a, Vec b, Vec c) { return __builtin_wasm_fms_f32x4(a, b, c); }
#else
inline Vec multiply_add(const Vec& a, const Vec& b, const Vec& c) { return c + a * b; }
inline Vec multiply_subtract(const Vec& a, const Vec& b, const Vec& c) { return c - a * b; }
#endif

inline Vec load(const float* from)
{
    Vec v;
    memcpy(&v, from, sizeof(v));
    return v;
}

inline void store(float* to, const Vec& v) { memcpy(to, &v, sizeof(v)); }

struct Activate {
    explicit Activate(const FirActivation& a)
        : positive(broadcast(a.positive)), negative(broadcast(a.negative)), low(broadcast(-a.limit)),
          high(broadcast(a.limit))
    {
    }
    Vec operator()(Vec v) const { return limit_value(v * select_negative(v, negative, positive), low, high); }
    Vec positive, negative, low, high;
};

// For the name of the table that a source ends with, and of its instruction set.
#define KERNEL_JOIN_(a, b) a##b
#define KERNEL_JOIN(a, b) KERNEL_JOIN_(a, b)
#define KERNEL_TEXT_(a) #a
#define KERNEL_TEXT(a) KERNEL_TEXT_(a)
