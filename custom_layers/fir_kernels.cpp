#include "fir_kernels.h"

#include <cpu.h>

namespace custom_layers
{

extern const FirKernels fir_kernels_baseline;
#ifdef FIR_HAVE_AVX2
extern const FirKernels fir_kernels_avx2;
#endif
#ifdef FIR_HAVE_AVX512
extern const FirKernels fir_kernels_avx512;
#endif

namespace
{
struct Supported {
    Supported()
    {
        const FirKernels** next = sets;
#ifdef FIR_HAVE_AVX512
        if (ncnn::cpu_support_x86_avx512())
            *next++ = &fir_kernels_avx512;
#endif
#ifdef FIR_HAVE_AVX2
        if (ncnn::cpu_support_x86_avx2() && ncnn::cpu_support_x86_fma())
            *next++ = &fir_kernels_avx2;
#endif
        *next = &fir_kernels_baseline;
    }
    const FirKernels* sets[4] = {};
};
} // namespace

const FirKernels* const* fir_kernels()
{
    static const Supported supported;
    return supported.sets;
}

} // namespace custom_layers
