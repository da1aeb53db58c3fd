// Layers that hold weights: the input must have the channels that the weights are for.
#include "checks.h"

#include <unordered_map>

namespace runtime
{

static void inner_product(const LayerLine& l, const std::vector<Shape>& in)
{
    const long long inputs = l.integer(2, 0) / l.integer(0, 1);
    if (in[0].total() != inputs && !(in[0].dims == 2 && in[0].w == inputs))
        throw refuse("its input does not fit its weights", std::to_string(inputs) + " values", in);
}

// `count` values, one for each slice of the outermost axis.
static void one_each(const Shape& in, long long count, const char* what)
{
    if (in.outer() != count)
        throw refuse(std::string("its input does not fit its ") + what, std::to_string(count) + " channels",
                     {in});
}

static void batch_norm(const LayerLine& l, const std::vector<Shape>& in)
{
    one_each(in[0], l.integer(0, 0), "statistics");
}

static void scale(const LayerLine& l, const std::vector<Shape>& in)
{
    const int size = l.integer(0, 0);
    one_each(in[0], size == -233 ? in[1].total() : size, "scales");
}

static void prelu(const LayerLine& l, const std::vector<Shape>& in)
{
    if (l.integer(0, 0) > 1)
        one_each(in[0], l.integer(0, 0), "slopes");
}

static void bias(const LayerLine& l, const std::vector<Shape>& in)
{
    one_each(in[0], l.integer(0, 0), "biases");
}

static void instance_norm(const LayerLine& l, const std::vector<Shape>& in)
{
    if (l.integer(2, 1))
        one_each(in[0], l.integer(0, 0), "scales");
}

static void group_norm(const LayerLine& l, const std::vector<Shape>& in)
{
    one_each(in[0], l.integer(1, 0), "scales");
}

static void layer_norm(const LayerLine& l, const std::vector<Shape>& in)
{
    const long long size = l.integer(0, 0), plane = (long long)in[0].w * in[0].h;
    const bool whole = in[0].dims == 4 && plane * in[0].d == size;
    if (l.integer(2, 1) && in[0].w != size && plane != size && !whole)
        throw refuse("its input does not fit its scales", std::to_string(size) + " values in the inner axes",
                     in);
}

template <int gates> static void recurrent(const LayerLine& l, const std::vector<Shape>& in)
{
    const long long directions = l.integer(2, 0) == 2 ? 2 : 1,
                    hidden = gates == 4 ? l.integer(3, l.integer(0, 1)) : l.integer(0, 1);
    const long long size = l.integer(1, 0) / directions / hidden / gates,
                    state = l.integer(0, 1) * directions;
    if (in[0].dims != 2 || in[0].w != size)
        throw refuse("its input does not fit its weights", "[steps, " + std::to_string(size) + "]", in);
    for (size_t i = 1; i < in.size(); i++)
        if (in[i].total() != (i == 2 ? hidden * directions : state))
            throw refuse("its state does not fit its weights", std::to_string(state) + " values", {in[i]});
}

HandCheck weights_check(const std::string& type)
{
    static const std::unordered_map<std::string, HandCheck> table = {
        {"InnerProduct", inner_product},
        {"BatchNorm", batch_norm},
        {"Scale", scale},
        {"PReLU", prelu},
        {"Bias", bias},
        {"InstanceNorm", instance_norm},
        {"GroupNorm", group_norm},
        {"LayerNorm", layer_norm},
        {"RMSNorm", layer_norm},
        {"LSTM", recurrent<4>},
        {"GRU", recurrent<3>},
        {"RNN", recurrent<1>},
    };
    const auto found = table.find(type);
    return found == table.end() ? nullptr : found->second;
}

} // namespace runtime
