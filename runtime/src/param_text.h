// The text of a .param file, read by us before ncnn sees it: every fault gets its line number and its reason.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace runtime
{

// One value of a layer's line. Text and arrays of floats are checked but not kept: no check of ours looks at
// them.
struct Param {
    enum class Type { integer, real, integers, reals, text };
    Type type;
    std::vector<int> ints;
    float value = 0; // of a real; of an array, the last
};

struct LayerLine {
    std::string type, name;
    std::vector<std::string> bottoms, tops;
    std::map<int, Param> params;
    int line = 0;

    // As ncnn reads it: `fallback` where the id is absent or holds something else than one integer.
    int integer(int id, int fallback) const;
    // The same for one real.
    float number(int id, float fallback) const;
    bool given(int id) const { return params.count(id) != 0; }
};

// Raises a Fault (param) that names file, line, layer and reason unless: the magic is there, both counts
// equal what follows, every line is well formed, layer and blob names are shorter than 256 and unique, each
// bottom is made by an earlier line, each blob is consumed at most once, and every number fits. What `check`
// raises for a line needs no file, line number and layer: they are added.
std::vector<LayerLine> parse_param(const std::string& text, const std::string& file,
                                   const std::function<void(const LayerLine&)>& check);

} // namespace runtime
