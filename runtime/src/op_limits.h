// What the op declarations say that a layer can take: op_limits_table.cpp is made of them
// (ncnn_builder/limits.py).
#pragma once

#include "checks.h"

#include <cmath>
#include <initializer_list>
#include <unordered_map>

namespace runtime
{

// Products of what a file says overflow an int; as doubles they grow, and undefined ones are NaN, which no
// limit holds for.
using Number = double;
using Numbers = std::vector<Number>;

// The layer and the blobs that it is about to get, as the limits see them.
class Facts
{
public:
    Facts(const LayerLine& layer, const std::vector<Shape>& given) : inputs(given), line(layer) {}

    Number integer(int id, Number fallback) const;
    Number real(int id, Number fallback) const;
    Numbers integers(int id) const;
    Numbers reals(int id) const;
    bool given(int id) const { return line.given(id); }
    const Shape& input(Number number) const; // with no dimensions where there is none
    Number input_count() const { return (Number)line.bottoms.size(); }
    Number output_count() const { return (Number)line.tops.size(); }

    const std::vector<Shape>& inputs;

private:
    const LayerLine& line;
};

inline Number num(Number value) { return value; }
inline Number truncated(Number value) { return std::trunc(value); }
inline Number abs_of(Number value) { return std::fabs(value); }
inline Number squared(Number value) { return value * value; }
inline Number quotient(Number a, Number b) { return std::floor(a / b); }
inline Number modulo(Number a, Number b) { return a - std::floor(a / b) * b; }
template <class T> Number count(const std::vector<T>& list) { return (Number)list.size(); }

Numbers range(Number stop); // 0, 1, ... below it
Number at(const Numbers& list, Number index);
bool among(Number value, std::initializer_list<Number> values);

template <class... T> Number min_of(Number first, T... rest)
{
    for (Number other : std::initializer_list<Number>{rest...})
        first = other < first ? other : first;
    return first;
}

template <class... T> Number max_of(Number first, T... rest)
{
    for (Number other : std::initializer_list<Number>{rest...})
        first = other > first ? other : first;
    return first;
}

template <class T, class F> bool all_of(const std::vector<T>& list, F holds)
{
    for (const T& element : list)
        if (!holds(element))
            return false;
    return true;
}

template <class T, class F> bool any_of(const std::vector<T>& list, F holds)
{
    for (const T& element : list)
        if (holds(element))
            return true;
    return false;
}

template <class T, class F> Number sum_of(const std::vector<T>& list, F value)
{
    Number total = 0;
    for (const T& element : list)
        total += value(element);
    return total;
}

template <class T, class F> Number prod_of(const std::vector<T>& list, F value)
{
    Number product = 1;
    for (const T& element : list)
        product *= value(element);
    return product;
}

struct Limit {
    const char* rule;       // as the declaration has it
    const char* parameters; // "name id " of each in it
    bool on_inputs;         // looked at before each run, not at load
    bool (*holds)(const Facts& facts);
};

struct Limits {
    const Limit* limits;
    size_t count;
    bool by_hand; // a Check of checks_*.cpp belongs to it
};

// Of each type of layer that ncnn has.
const std::unordered_map<std::string, Limits>& limits_table();

} // namespace runtime
