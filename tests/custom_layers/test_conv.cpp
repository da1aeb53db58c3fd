// The class Conv: every instruction set, scheme and packing, and the scalar form, against a naive oracle.
#include "check.h"
#include "conv_oracle.h"
#include "random.h"

#include <math.h>

#include <algorithm>
#include <utility>

using custom_layers::Conv;
using custom_layers::ConvScheme;
using custom_layers::FirKernels;

static void random_activation(Random& random, ConvCase& c)
{
    const int kind = random.integer(0, 3); // linear, leaky ReLU, that with a negative gain, a limit as well
    if (kind >= 1) {
        c.positive = kind == 2 ? -0.75f : 1.4142135f;
        c.negative = c.positive * 0.2f;
    }
    if (kind == 3)
        c.limit = 2.f;
}

static ConvCase random_case(Random& random)
{
    const std::vector<int> channels = {1, 3, 5, 16, 17, 32, 33, 48, 64, 161};
    const std::vector<int> sizes = {1, 1, 4, 7, 9, 33, 70, 100};
    ConvCase c;
    do {
        c = ConvCase(random.one_of(channels), random.one_of(channels), random.one_of(sizes),
                     random.one_of(sizes));
        c.padding = random.integer(0, 3);
        if (random.integer(0, 2) == 0) {
            c.upsampled(random.one_of({1, 3, 4, 4, 5, 8}), c.padding);
        } else {
            c.kernel_h = random.one_of({1, 2, 3, 3, 3, 5});
            c.kernel_w = c.kernel_h == 2 ? 5 : c.kernel_h;
        }
        c.winograd = random.integer(0, 3) != 0;
        c.noise = random.integer(0, 1) == 1;
        if (c.up == 1) { // what FusedConv2d has
            c.residual = !c.noise && random.integer(0, 1) == 1;
            c.more_below = random.one_of({0, 0, 1});
            c.more_right = random.one_of({0, 0, 2});
            if (c.inputs > 16 && random.integer(0, 1) == 1)
                c.parts = {16, c.inputs - 16};
        }
        c.scaled = random.integer(0, 2) != 0;
        c.slopes = random.integer(0, 2) == 0;
    } while (c.out_h() < 1 || c.out_w() < 1 || c.cost() > 5e6);
    random_activation(random, c);
    return c;
}

static int random_pack(Random& random, int channels)
{
    int pack = 0;
    do {
        pack = random.one_of({1, 4, 8, 16});
    } while (channels % pack != 0);
    return pack;
}

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

// The same case with channels and a size that the scheme is chosen for, and as little to do as possible: what
// is chosen follows measurements, and may change.
static ConvCase case_of(ConvScheme scheme, const ConvCase& like)
{
    ConvCase best;
    bool found = false;
    for (int channels : {32, 64, 96, 160}) {
        for (int size = 3; size < 80; size += 1 + size / 8) {
            ConvCase c = like;
            c.inputs = c.outputs = channels;
            c.height = size;
            c.width = size + 2;
            if (found && c.cost() >= best.cost())
                break;
            Conv conv = conv_of(c);
            const std::vector<float> weights((size_t)channels * channels * c.kernel_h * c.kernel_w, 0.f);
            conv.prepare(weights.data(), true, *conv_kernel_sets()[0]);
            if (conv.scheme() != scheme)
                continue;
            best = c;
            found = true;
            break;
        }
    }
    check(found, "%s: %s is never chosen", like.name().c_str(), scheme_name(scheme));
    return best;
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

// Products in half precision, where the processor has it; elsewhere it is asked for and nothing changes.
TEST(conv_half, schemes)
{
    Random random(2);
    double most[5] = {}; // of each scheme
    for (unsigned i = 0; i < 40; i++) {
        ConvCase c = random_case(random);
        if (i % 3 == 0 && c.up == 1) { // few have so many channels by chance
            c = ConvCase(i % 2 ? 161 : 64, 33, 9, 33);
            c.winograd = i % 2 == 0;
        }
        const ConvData data(c, 7000 + i);
        const ncnn::Mat want = conv_oracle(c, data);
        for (const FirKernels* kernels : conv_kernel_sets()) {
            if (!kernels)
                continue;
            Conv conv = conv_of(c);
            check(conv.prepare(data.weights.data(), c.winograd, *kernels, true) == 0, "%s: out of memory",
                  c.name().c_str());
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
        ConvCase c = random_case(random);
        if (i % 3 == 0 && c.up == 1) { // few have so many channels by chance
            c = ConvCase(i % 2 ? 161 : 64, 33, 9, 33);
            c.winograd = i % 2 == 0;
        }
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
                      conv.prepare(data.weights.data(), c.winograd, *kernels, false, true) == 0,
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
