// The class Conv: every instruction set, scheme and packing, and the scalar form, against a naive oracle.
#include "check.h"
#include "conv_cases.h"

#include <math.h>

#include <algorithm>
#include <utility>

using custom_layers::Conv;
using custom_layers::ConvScheme;
using custom_layers::FirKernels;

static void check_form(const Conv& conv, const ConvCase& c, const ConvData& data, const ncnn::Mat& want,
                       const ConvForm& form)
{
    check_close(run_conv(conv, c, data, form), want, form.kernels ? conv_tolerance(conv.scheme()) : 4e-6,
                text("%s %s %s", c.name().c_str(), form.name().c_str(),
                     form.kernels ? scheme_name(conv.scheme()) : "definition"));
}

TEST(conv, random_sweep)
{
    Random random(1);
    for (unsigned i = 0; i < 200; i++) {
        const ConvCase c = random_case(random);
        if (!its_turn())
            continue;
        const ConvData data(c, 10 * i);
        const ncnn::Mat want = conv_oracle(c, data);
        for (const FirKernels* kernels : conv_kernel_sets()) {
            Conv conv = conv_of(c);
            if (kernels)
                check(conv.prepare(data.weights.data(), c.winograd, *kernels) == 0, "%s: out of memory",
                      c.name().c_str());
            for (int k = 0; k < (kernels ? 3 : 1); k++) {
                const int x_pack = random_pack(random, c.inputs), y_pack = random_pack(random, c.outputs);
                check_form(conv, c, data, want,
                           {kernels, x_pack, y_pack, random.one_of({1, 2, 3, 5}), random.one_of({0, 0, 4})});
            }
        }
    }
}

// Each scheme in each packing of x and y, with whole groups of 16 channels and with a part of one; inside, at
// the border, and with rows cut by the end of the picture.
TEST(conv, schemes_and_packings)
{
    const std::pair<ConvScheme, ConvCase> cases[] = {
        {custom_layers::kConvDirect, ConvCase(1, 1, 1, 1, 1, 0)},
        {custom_layers::kConvDirect, ConvCase(1, 1, 1, 1, 5, 2)},
        {custom_layers::kConvWinograd4, ConvCase(1, 1, 1, 1, 3, 1)},
        {custom_layers::kConvWinograd4, ConvCase(1, 1, 1, 1, 3, 3)},
        {custom_layers::kConvWinograd6, ConvCase(1, 1, 1, 1, 3, 1)},
        {custom_layers::kConvWinograd6, ConvCase(1, 1, 1, 1, 3, 0)},
        {custom_layers::kConvUpDirect, ConvCase().upsampled(4)},
        {custom_layers::kConvUpDirect, ConvCase().upsampled(5, 2)},
        {custom_layers::kConvUpWinograd, ConvCase().upsampled(4)},
        {custom_layers::kConvUpWinograd, ConvCase().upsampled(3, 3)},
    };
    unsigned seed = 5000;
    const auto has = [](const FirKernels* set, ConvScheme scheme) {
        return scheme != custom_layers::kConvWinograd6 || custom_layers::conv_kernels(*set).rounds_once();
    };
    for (const auto& wanted : cases) {
        if (!has(conv_kernel_sets()[0], wanted.first))
            continue;
        ConvCase c = case_of(wanted.first, wanted.second);
        for (int less : {0, 4}) { // 4 channels less: a group of 12 at the end
            c.inputs -= less;
            c.outputs -= less;
            c.noise = less == 0;
            if (!its_turn())
                continue;
            const ConvData data(c, seed++);
            const ncnn::Mat want = conv_oracle(c, data);
            for (const FirKernels* kernels : conv_kernel_sets()) {
                Conv conv = conv_of(c);
                if (kernels) {
                    conv.prepare(data.weights.data(), true, *kernels);
                    check(less != 0 || conv.scheme() == wanted.first || !has(kernels, wanted.first),
                          "%s is not done by %s but %s", c.name().c_str(), scheme_name(wanted.first),
                          scheme_name(conv.scheme()));
                }
                for (int x_pack : {1, 4, 8, 16}) {
                    for (int y_pack : {1, 4, 8, 16}) {
                        const bool once =
                            !kernels && (x_pack != 4 || y_pack != 4); // slow, and knows no groups
                        if (c.inputs % x_pack == 0 && c.outputs % y_pack == 0 && !once)
                            check_form(conv, c, data, want,
                                       {kernels, x_pack, y_pack, 1 + (x_pack + y_pack) % 3, 0});
                    }
                }
            }
        }
    }
}

// Pictures: outputs that are too few for the matrix product.
TEST(conv, few_outputs)
{
    for (int outputs = 1; outputs <= 5; outputs++) {
        for (bool noise : {false, true}) {
            ConvCase c(48, outputs, 19, 31, 1, 0);
            c.noise = noise;
            c.limit = noise ? 0.5f : INFINITY;
            c.negative = noise ? -0.5f : 1.f;
            if (!its_turn())
                continue;
            const ConvData data(c, 6000);
            const ncnn::Mat want = conv_oracle(c, data);
            int few = 0;
            for (const FirKernels* kernels : conv_kernel_sets()) {
                Conv conv = conv_of(c);
                if (kernels)
                    conv.prepare(data.weights.data(), false, *kernels);
                for (int x_pack : {1, 4, 8, 16}) {
                    check_form(conv, c, data, want, {kernels, x_pack, 1, 1 + x_pack % 3, 0});
                    if (!kernels)
                        continue;
                    const ncnn::Mat x(31, 19, 48 / x_pack, (size_t)4u * x_pack, x_pack), y(31, 19, outputs);
                    custom_layers::ConvArguments arguments;
                    arguments.x = &x;
                    few += conv.sharing(arguments, y, ncnn::Option()).way == custom_layers::ConvSharing::kFew;
                }
            }
            // Of each set of kernels, the packing that is its own.
            const int sets = outputs <= custom_layers::kConvFew ? (int)conv_kernel_sets().size() - 1 : 0;
            check(few == sets, "%d outputs: dot products were taken %d times, not %d", outputs, few, sets);
        }
    }
}

// A prepared convolution runs on pictures of every size, in parts of every packing, with what it was not
// chosen for as well.
TEST(conv, other_sizes)
{
    unsigned seed = 6500;
    for (int chosen : {4, 64}) {
        ConvCase c(48, 40, chosen, chosen);
        c.scaled = false;
        for (const FirKernels* kernels : conv_kernel_sets()) {
            Conv conv = conv_of(c);
            const std::vector<float> weights = ConvData(c, 6400).weights;
            if (kernels)
                conv.prepare(weights.data(), true, *kernels);
            const std::vector<std::pair<int, int>> sizes = {{1, 1},  {1, 2},  {2, 1},  {2, 2},   {3, 3},
                                                            {1, 27}, {5, 23}, {8, 20}, {13, 15}, {26, 2}};
            for (const auto& size : sizes) {
                ConvCase other = c;
                other.height = size.first;
                other.width = size.second;
                if (!its_turn())
                    continue;
                other.residual = size.first % 2 == 1;
                other.slopes = size.first != size.second;
                if (size.first != 8)
                    other.parts = {16, 16, 16};
                ConvData data(other, seed++);
                data.weights = weights;
                const ncnn::Mat want = conv_oracle(other, data);
                for (int pack : {1, 4, 8})
                    check_form(conv, other, data, want, {kernels, pack, pack, 1 + size.first % 3, 0});
            }
        }
    }
}

// Infinite numbers and NaN stay where they are, without Winograd's transforms.
TEST(conv, not_a_number)
{
    ConvCase c(16, 16, 5, 6, 1, 0);
    ConvData data(c, 7000);
    data.x[7] = NAN;
    data.x[30 + 9] = INFINITY;
    const ncnn::Mat want = conv_oracle(c, data);
    for (const FirKernels* kernels : conv_kernel_sets()) {
        Conv conv = conv_of(c);
        if (kernels)
            conv.prepare(data.weights.data(), false, *kernels);
        for (int pack : {1, 4, 8, 16})
            check_form(conv, c, data, want, {kernels, pack, pack, 1, 0});
    }
}
