// Which of the instruction sets that a processor has are used. NCNN_BUILDER_CPU=base, avx, fma, avx2 or
// avx512 leaves the later ones out, in ncnn's kernels and in ours, so that one machine tests what others run.
#pragma once

#include <string>

namespace custom_layers
{

// The words that NCNN_BUILDER_CPU takes, the least first; unset or empty is all that there is.
extern const char* const cpu_sets[];

// What is wrong with NCNN_BUILDER_CPU: another word, or a build that has no such sets; empty if nothing is.
std::string wrong_cpu_mask();

// The set in use: one of cpu_sets, or "other" on a processor that is no x86.
std::string cpu_in_use();

} // namespace custom_layers
