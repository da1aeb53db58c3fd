// The class Conv with 16-bit numbers: products in float16 and bfloat16, weights in float16.
#include "check.h"
#include "conv_cases.h"

#include <math.h>

#include <algorithm>

using custom_layers::Conv;
using custom_layers::ConvKernels;
using custom_layers::ConvScheme;
using custom_layers::FirKernels;

namespace custom_layers
{
extern const ConvKernels conv_kernels_bf16_emulated;
}

static ConvCase numbers_case(Random& random, unsigned i)
{
    ConvCase c = random_case(random);
    if (i % 3 == 0 && c.up == 1) { // few have so many channels by chance
        c = ConvCase(i % 2 ? 161 : 64, 33, 9, 33);
        c.winograd = i % 2 == 0;
    }
    return c;
}

// The kernels with products in bfloat16: those written out, then the processor's if it has such.
static std::vector<const ConvKernels*> bf16_sets()
{
    std::vector<const ConvKernels*> sets = {&custom_layers::conv_kernels_bf16_emulated};
    if (custom_layers::bf16_kernels())
        sets.push_back(custom_layers::bf16_kernels());
    return sets;
}

// Products in half precision, where the processor has it; elsewhere it is asked for and nothing changes.
TEST(conv_half, schemes)
{
    Random random(2);
    double most[5] = {}; // of each scheme
    for (unsigned i = 0; i < 40; i++) {
        const ConvCase c = numbers_case(random, i);
        const ConvData data(c, 7000 + i);
        const ncnn::Mat want = conv_oracle(c, data);
        for (const FirKernels* kernels : conv_kernel_sets()) {
            if (!kernels)
                continue;
            Conv conv = conv_of(c);
            check(conv.prepare(data.weights.data(), c.winograd, *kernels, {true, false, nullptr}) == 0,
                  "%s: out of memory", c.name().c_str());
            const ConvScheme scheme = conv.scheme();
            const bool half =
                custom_layers::have_half_kernels() && c.outputs > custom_layers::kConvFew &&
                (scheme == custom_layers::kConvDirect || scheme == custom_layers::kConvUpDirect);
            const ConvForm form = {kernels, random_pack(random, c.inputs), random_pack(random, c.outputs), 2,
                                   0};
            const ncnn::Mat got = run_conv(conv, c, data, form);
            check_close(got, want, half ? 4e-3 : conv_tolerance(scheme),
                        text("%s %s half %s", c.name().c_str(), form.name().c_str(), scheme_name(scheme)));
            if (half)
                most[scheme] = std::max(most[scheme], difference(got, want));
        }
    }
    for (const ConvScheme scheme : {custom_layers::kConvDirect, custom_layers::kConvUpDirect}) {
        if (!custom_layers::have_half_kernels())
            continue;
        printf("     %s in half precision: %.1e\n", scheme_name(scheme), most[scheme]);
        check(most[scheme] > 2e-5, "%s was not computed in half precision", scheme_name(scheme));
    }
}

// Weights kept in float16 take half the memory where the processor widens them, and cost some digits.
TEST(conv_narrow, schemes)
{
    Random random(3);
    double most[5] = {}; // of each scheme
    for (unsigned i = 0; i < 40; i++) {
        ConvCase c = numbers_case(random, i);
        if (i % 10 == 1)
            c = case_of(custom_layers::kConvUpWinograd, ConvCase().upsampled(4));
        const float size = i % 4 == 1 ? 1e-6f : i % 4 == 2 ? 1e7f : 1.f; // float16 holds neither as they are
        c.scaled = c.scaled || size != 1.f;
        ConvData data(c, 9000 + i);
        for (float& weight : data.weights)
            weight *= size;
        for (float& factor : data.scale_out)
            factor /= size;
        const ncnn::Mat want = conv_oracle(c, data);
        for (const FirKernels* kernels : conv_kernel_sets()) {
            if (!kernels)
                continue;
            Conv conv = conv_of(c), plain = conv_of(c);
            check(plain.prepare(data.weights.data(), c.winograd, *kernels) == 0 &&
                      conv.prepare(data.weights.data(), c.winograd, *kernels, {false, true, nullptr}) == 0,
                  "%s: out of memory", c.name().c_str());
            const bool narrow = c.outputs > custom_layers::kConvFew &&
                                custom_layers::conv_kernels(*kernels).gemm_narrow != nullptr;
            check(conv.weight_bytes() * (narrow ? 2 : 1) == plain.weight_bytes(), "%s: %zu bytes of %zu",
                  c.name().c_str(), conv.weight_bytes(), plain.weight_bytes());
            const ConvScheme scheme = conv.scheme();
            const ConvForm form = {kernels, random_pack(random, c.inputs), random_pack(random, c.outputs), 2,
                                   0};
            const ncnn::Mat got = run_conv(conv, c, data, form);
            const bool plain_sums =
                scheme == custom_layers::kConvDirect || scheme == custom_layers::kConvUpDirect;
            const double narrow_tolerance = plain_sums ? 2e-3 : 2e-2; // Winograd's weights are of many sizes
            check_close(got, want, narrow ? narrow_tolerance : conv_tolerance(scheme),
                        text("%s %s narrow %s", c.name().c_str(), form.name().c_str(), scheme_name(scheme)));
            if (narrow)
                most[scheme] = std::max(most[scheme], difference(got, want));
        }
    }
    if (custom_layers::conv_kernels(*conv_kernel_sets()[0]).gemm_narrow)
        check(most[custom_layers::kConvDirect] > 2e-5, "no weights were narrow");
    for (int scheme = 0; scheme < 5; scheme++)
        printf("     %s with weights in float16: %.1e\n", scheme_name((ConvScheme)scheme), most[scheme]);
}

// The root mean square of the differences, of that of the numbers.
static double error_of_all(const ncnn::Mat& got, const ncnn::Mat& want)
{
    double error = 0, all = 1e-30;
    for (int c = 0; c < want.c; c++) {
        for (int i = 0; i < want.w * want.h; i++) {
            const double wanted = want.channel(c)[i], missed = got.channel(c)[i] - wanted;
            error += missed * missed;
            all += wanted * wanted;
        }
    }
    return sqrt(error / all);
}

// Products in bfloat16. The processor's instructions give what is written out for them but for the order of
// sums, and weights take half the memory.
TEST(conv_bf16, schemes)
{
    Random random(4);
    const bool six = custom_layers::conv_kernels(*conv_kernel_sets()[0]).rounds_once(); // Winograd's 6x6
    double most[5] = {};                                                                // of each scheme
    for (unsigned i = 0; i < 40; i++) {
        ConvCase c = numbers_case(random, i);
        if (i % 10 == 1)
            c = case_of(custom_layers::kConvUpWinograd, ConvCase().upsampled(4));
        if (i % 10 == 4 && six)
            c = case_of(custom_layers::kConvWinograd6, ConvCase(1, 1, 1, 1, 3, 1));
        const ConvData data(c, 11000 + i);
        const ncnn::Mat want = conv_oracle(c, data);
        const FirKernels& fir = *conv_kernel_sets()[0];
        const bool bf16 = c.outputs > custom_layers::kConvFew;
        Conv plain = conv_of(c);
        check(plain.prepare(data.weights.data(), c.winograd, fir) == 0, "%s: out of memory",
              c.name().c_str());
        ncnn::Mat written_out;
        for (const ConvKernels* kernels : bf16_sets()) {
            Conv conv = conv_of(c);
            check(conv.prepare(data.weights.data(), c.winograd, fir, {false, false, kernels}) == 0,
                  "%s: out of memory", c.name().c_str());
            const size_t rows = (size_t)(bf16 ? c.inputs + c.inputs % 2 : c.inputs);
            check(conv.weight_bytes() * (bf16 ? 2 : 1) * c.inputs == plain.weight_bytes() * rows,
                  "%s: %zu bytes of %zu", c.name().c_str(), conv.weight_bytes(), plain.weight_bytes());
            const ConvScheme scheme = conv.scheme();
            const ConvForm form = {&fir, random_pack(random, c.inputs), random_pack(random, c.outputs), 2, 0};
            const ncnn::Mat got = run_conv(conv, c, data, form);
            const std::string name = text("%s %s %s %s", c.name().c_str(), form.name().c_str(),
                                          bf16 ? kernels->name : "few", scheme_name(scheme));
            check_close(got, want, bf16 ? 0.4 : conv_tolerance(scheme), name);
            if (!bf16)
                continue;
            // What is rounded are Winograd's values: transforms that differ in the last digit round
            // otherwise.
            const bool plain_sums =
                scheme == custom_layers::kConvDirect || scheme == custom_layers::kConvUpDirect;
            const double tolerance = scheme == custom_layers::kConvWinograd6 ? 5e-2
                                     : plain_sums                            ? 4e-3
                                                                             : 2.5e-2;
            const double error = error_of_all(got, want);
            check(error <= tolerance, "%s: %g of all numbers, tolerance %g", name.c_str(), error, tolerance);
            if (written_out.empty())
                written_out = got;
            else
                check(error_of_all(got, written_out) <= (plain_sums ? 1e-6 : 1e-3),
                      "%s: %g from what is written out", name.c_str(), error_of_all(got, written_out));
            most[scheme] = std::max(most[scheme], error);
        }
    }
    for (int scheme = 0; scheme < 5; scheme++) {
        printf("     %s in bfloat16: %.1e\n", scheme_name((ConvScheme)scheme), most[scheme]);
        check(most[scheme] > 5e-4 || (scheme == custom_layers::kConvWinograd6 && !six),
              "%s was not computed in bfloat16", scheme_name((ConvScheme)scheme));
    }
}

// Ties go to even, what is not normal is zero, and what is no number stays that.
TEST(conv_bf16, rounding)
{
    const float step = 0.0078125f; // from 1 to the next number
    const float given[] = {1 + step / 2,
                           1 + 3 * step / 2,
                           1 + step / 2 + 1e-6f,
                           -1 - step / 2,
                           1e-39f,
                           -3.f,
                           3.4e38f,
                           INFINITY,
                           -INFINITY,
                           NAN};
    const float expected[] = {1.f,  1 + 2 * step, 1 + step, -1.f,      0.f,
                              -3.f, INFINITY,     INFINITY, -INFINITY, NAN};
    const int count = sizeof(given) / sizeof(*given);
    ConvCase c(1, 16, 1, count, 1, 0);
    c.scaled = false;
    ConvData data(c, 12000);
    std::fill(data.weights.begin(), data.weights.end(), 1.f);
    std::fill(data.bias.begin(), data.bias.end(), 0.f);
    data.x.assign(given, given + count);
    for (const ConvKernels* kernels : bf16_sets()) {
        Conv conv = conv_of(c);
        const FirKernels& fir = *conv_kernel_sets()[0];
        check(conv.prepare(data.weights.data(), true, fir, {false, false, kernels}) == 0, "out of memory");
        const ncnn::Mat got = run_conv(conv, c, data, {&fir, 1, 1, 1, 0});
        for (int o = 0; o < c.outputs; o++) {
            for (int i = 0; i < count; i++) {
                const float is = got.channel(o)[i];
                check(isnan(expected[i]) ? isnan(is) : is == expected[i], "%s: %g became %g, not %g",
                      kernels->name, given[i], is, expected[i]);
            }
        }
    }
}
