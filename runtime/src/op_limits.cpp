#include "op_limits.h"

#include "param_line.h"

#include <cstring>
#include <limits>

namespace runtime
{

static const Number undefined = std::numeric_limits<Number>::quiet_NaN();

Number Facts::integer(int id, Number fallback) const
{
    const auto found = line.params.find(id);
    return found != line.params.end() && found->second.type == Param::Type::integer ? found->second.words[0]
                                                                                    : fallback;
}

Number Facts::real(int id, Number fallback) const
{
    const auto found = line.params.find(id);
    return found == line.params.end() ? fallback : (Number)found->second.number((float)fallback);
}

Numbers Facts::integers(int id) const
{
    const std::vector<int>& words = line.array(id);
    return Numbers(words.begin(), words.end());
}

Numbers Facts::reals(int id) const
{
    Numbers values;
    for (int word : line.array(id)) {
        float value;
        memcpy(&value, &word, sizeof value);
        values.push_back(value);
    }
    return values;
}

const Shape& Facts::input(Number number) const
{
    static const Shape none;
    return number >= 0 && number < (Number)inputs.size() ? inputs[(size_t)number] : none;
}

Numbers range(Number stop)
{
    Numbers values;
    for (int i = 0; i < stop && i < 1 << 16; i++)
        values.push_back(i);
    return values;
}

Number at(const Numbers& list, Number index)
{
    index += index < 0 ? (Number)list.size() : 0;
    return index >= 0 && index < (Number)list.size() ? list[(size_t)index] : undefined;
}

bool among(Number value, std::initializer_list<Number> values)
{
    for (Number one : values)
        if (one == value)
            return true;
    return false;
}

// "kernel_w=3, stride_w by default": what the line says of the parameters in a limit.
static std::string said(const LayerLine& line, const Limit& limit)
{
    std::vector<std::string> parts;
    const std::vector<std::string> words = split_words(limit.parameters);
    for (size_t i = 0; i + 1 < words.size(); i += 2) {
        const auto found = line.params.find(std::stoi(words[i + 1]));
        parts.push_back(found == line.params.end() ? words[i] + " by default"
                                                   : words[i] + "=" + found->second.said());
    }
    return join(parts);
}

static void check(const LayerLine& line, const std::vector<Shape>& inputs, bool on_inputs)
{
    const auto found = limits_table().find(line.type);
    if (found == limits_table().end())
        return;
    const Facts facts(line, inputs);
    for (size_t i = 0; i < found->second.count; i++) {
        const Limit& limit = found->second.limits[i];
        if (limit.on_inputs != on_inputs || limit.holds(facts))
            continue;
        const std::string values = said(line, limit);
        if (!on_inputs)
            throw Fault(Kind::param, "its parameters are not what the layer can take")
                .wants(limit.rule)
                .has(values);
        throw refuse("its inputs and parameters are not what the layer can take", limit.rule, inputs)
            .because(values);
    }
}

void check_limits(const LayerLine& line)
{
    const auto found = limits_table().find(line.type);
    if (found == limits_table().end() || (found->second.by_hand && !hand_check(line.type)))
        throw Fault(Kind::param, "nothing is known of what a layer of this type can take");
    check(line, {}, false);
}

void Check::operator()(const LayerLine& line, const std::vector<Shape>& inputs) const
{
    check(line, inputs, true);
    if (by_hand)
        by_hand(line, inputs);
}

} // namespace runtime
