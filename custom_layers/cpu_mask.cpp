#include "cpu_mask.h"

#include <cpu.h>

#include <cstdlib>
#include <cstring>

namespace custom_layers
{

const char* const cpu_sets[] = {"base", "avx", "fma", "avx2", "avx512", nullptr};

namespace
{
enum Set { base, avx, fma, avx2, avx512, all };

const char* asked()
{
    const char* word = std::getenv("NCNN_BUILDER_CPU");
    return word && *word ? word : nullptr;
}

[[maybe_unused]] Set most()
{
    static const Set set = [] {
        const char* word = asked();
        int i = 0;
        while (word && cpu_sets[i] && std::strcmp(cpu_sets[i], word) != 0)
            i++;
        return word && cpu_sets[i] ? (Set)i : all;
    }();
    return set;
}
} // namespace

std::string wrong_cpu_mask()
{
    const char* word = asked();
    if (!word)
        return "";
#ifdef CPU_MASK_FUNCTIONS
    std::string words;
    for (const char* const* set = cpu_sets; *set; set++) {
        if (std::strcmp(*set, word) == 0)
            return "";
        words += (words.empty() ? "" : ", ") + std::string(*set);
    }
    return "NCNN_BUILDER_CPU=" + std::string(word) + " names no set of instructions; expected " + words;
#else
    return "NCNN_BUILDER_CPU is set, but this build cannot leave instruction sets out: that takes x86-64, a "
           "linker with --wrap and a static ncnn";
#endif
}

std::string cpu_in_use()
{
    if (ncnn::cpu_support_x86_avx512())
        return cpu_sets[avx512];
    if (ncnn::cpu_support_x86_avx2())
        return cpu_sets[avx2];
    if (ncnn::cpu_support_x86_fma())
        return cpu_sets[fma];
    if (ncnn::cpu_support_x86_avx())
        return cpu_sets[avx];
#if defined(__x86_64__) || defined(_M_X64)
    return cpu_sets[base];
#else
    return "other";
#endif
}

#ifdef CPU_MASK_FUNCTIONS
// The linker leads calls of ncnn::cpu_support_x86_NAME() to wrap_NAME(), and those of real_NAME() to ncnn.
#define WRAP(name, symbol, least)                                                                            \
    int real_##name() __asm__("__real_" symbol);                                                             \
    int wrap_##name() __asm__("__wrap_" symbol);                                                             \
    int wrap_##name() { return most() >= least ? real_##name() : 0; }
CPU_MASK_FUNCTIONS(WRAP)
#endif

} // namespace custom_layers
