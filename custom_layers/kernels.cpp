#include "conv_kernels.h"

#include <cpu.h>

namespace custom_layers
{

extern const FirKernels fir_kernels_baseline;
extern const ConvKernels conv_kernels_baseline;
#ifdef KERNELS_HAVE_AVX2
extern const FirKernels fir_kernels_avx2;
extern const ConvKernels conv_kernels_avx2;
#endif
#ifdef KERNELS_HAVE_AVX512
extern const FirKernels fir_kernels_avx512;
extern const ConvKernels conv_kernels_avx512;
#endif

#ifdef KERNELS_HAVE_ASIMDHP
extern const ConvKernels conv_kernels_asimdhp;
#endif
#ifdef KERNELS_HAVE_AVX512BF16
extern const ConvKernels conv_kernels_avx512bf16;
#endif

// A module of WebAssembly is taken whole or not at all: these kernels are there where they were linked.
#ifdef KERNELS_HAVE_RELAXED
extern const FirKernels fir_kernels_relaxed __attribute__((weak));
extern const ConvKernels conv_kernels_relaxed __attribute__((weak));
#endif

namespace
{
struct Supported {
    Supported()
    {
#ifdef KERNELS_HAVE_AVX512
        if (ncnn::cpu_support_x86_avx512())
            add(fir_kernels_avx512, conv_kernels_avx512);
#endif
#ifdef KERNELS_HAVE_AVX2
        if (ncnn::cpu_support_x86_avx2() && ncnn::cpu_support_x86_fma() && ncnn::cpu_support_x86_f16c())
            add(fir_kernels_avx2, conv_kernels_avx2);
#endif
#ifdef KERNELS_HAVE_RELAXED
        if (&fir_kernels_relaxed && &conv_kernels_relaxed)
            add(fir_kernels_relaxed, conv_kernels_relaxed);
#endif
        add(fir_kernels_baseline, conv_kernels_baseline);
    }

    void add(const FirKernels& fir_set, const ConvKernels& conv_set)
    {
        fir[count] = &fir_set;
        conv[count++] = &conv_set;
    }

    const FirKernels* fir[4] = {}; // ends with null
    const ConvKernels* conv[4] = {};
    int count = 0;
};

const Supported& supported()
{
    static const Supported sets;
    return sets;
}
} // namespace

const FirKernels* const* fir_kernels() { return supported().fir; }

bool have_half_kernels()
{
#ifdef KERNELS_HAVE_ASIMDHP
    return ncnn::cpu_support_arm_asimdhp() != 0;
#else
    return false;
#endif
}

const ConvKernels* bf16_kernels()
{
#ifdef KERNELS_HAVE_AVX512BF16
    if (ncnn::cpu_support_x86_avx512() && ncnn::cpu_support_x86_avx512_bf16())
        return &conv_kernels_avx512bf16;
#endif
    return nullptr;
}

const ConvKernels& conv_kernels(const FirKernels& fir, bool half)
{
#ifdef KERNELS_HAVE_ASIMDHP
    if (half && have_half_kernels())
        return conv_kernels_asimdhp;
#else
    (void)half;
#endif
    const Supported& sets = supported();
    int i = 0;
    while (i + 1 < sets.count && sets.fir[i] != &fir)
        i++;
    return *sets.conv[i];
}

} // namespace custom_layers
