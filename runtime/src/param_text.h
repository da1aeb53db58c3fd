// The text of a .param file, read by us before ncnn sees it: every fault gets its line number and its reason.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace runtime
{

// One value of a layer's line, as ncnn keeps it (src/paramdict.cpp): a number remembers whether it was
// written as an integer; an array is 32-bit words, and a layer that reads them as floats or as integers asks
// for no more.
struct Param {
    enum class Type { integer, real, integers, reals, text };
    Type type;
    std::vector<int> words; // one of a number; a float's bits
    std::string text;

    float
    number(float fallback) const; // an integer is converted, anything else than a number gives `fallback`
    std::string said() const;     // as it stands in the line, cut short
};

struct LayerLine {
    std::string type, name;
    std::vector<std::string> bottoms, tops;
    std::map<int, Param> params;
    int line = 0;

    // As ncnn reads it: `fallback` where the id is absent or holds something else than one integer.
    int integer(int id, int fallback) const;
    // The same for one real; an integer is converted.
    float number(int id, float fallback) const;
    // The words of an array; empty where the id is absent or holds none.
    const std::vector<int>& array(int id) const;
    // The text of a string; empty where the id is absent or holds none.
    std::string text(int id) const;
    bool given(int id) const { return params.count(id) != 0; }
};

// Raises a Fault (param) that names file, line, layer and reason unless: the magic is there, both counts
// equal what follows, every line is well formed, layer and blob names are shorter than 256 and unique, each
// bottom is made by an earlier line, each blob is consumed at most once, and every number fits. What `check`
// raises for a line needs no file, line number and layer: they are added.
std::vector<LayerLine> parse_param(const std::string& text, const std::string& file,
                                   const std::function<void(const LayerLine&)>& check);

} // namespace runtime
