#include "conv_cases.h"

#include "check.h"

using custom_layers::Conv;
using custom_layers::ConvScheme;

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

ConvCase random_case(Random& random)
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

int random_pack(Random& random, int channels)
{
    int pack = 0;
    do {
        pack = random.one_of({1, 4, 8, 16});
    } while (channels % pack != 0);
    return pack;
}

ConvCase case_of(ConvScheme scheme, const ConvCase& like)
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
