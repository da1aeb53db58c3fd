// ncnn's layers trust their inputs: a channel count that does not fit the weights is a read out of bounds, a
// shape of -1 in the wrong place a division by zero. What can be said beforehand is said here, for the
// built-in layers in common use. The custom layers check themselves.
#pragma once

#include "fault.h"
#include "param_text.h"

#include <layer.h>

#include <filesystem>
#include <string>
#include <vector>

namespace runtime
{

// Sizes of a blob, unpacked; 1 where `dims` has no such axis.
struct Shape {
    int dims = 0, w = 1, h = 1, d = 1, c = 1;
    int bits = 32; // of one value

    static Shape of(const ncnn::Mat& m);
    std::vector<int> sizes() const; // outer first, as numpy
    long long total() const { return (long long)w * h * d * c; }
    int outer() const { return dims == 1 ? w : dims == 2 ? h : c; }
    std::string text() const; // "[3, 64, 64]"
};

std::string text_of(const std::vector<Shape>& shapes);

// Raises a Fault (layer, without file and layer name) when the layer cannot take these inputs.
using HandCheck = void (*)(const LayerLine& layer, const std::vector<Shape>& inputs);

// The limits that the op's declaration has (op_limits.h), and after them what no expression can say, by hand.
struct Check {
    bool known = false; // false: a layer of ours, which checks itself
    HandCheck by_hand = nullptr;

    explicit operator bool() const { return known; }
    void operator()(const LayerLine& layer, const std::vector<Shape>& inputs) const;
};

// The check of a built-in type.
Check find_check(const std::string& type);

// What is written by hand; null where there is nothing.
HandCheck hand_check(const std::string& type);

// The tables that it looks into.
HandCheck attention_check(const std::string& type);
HandCheck convolution_check(const std::string& type);
HandCheck regions_check(const std::string& type);
HandCheck weights_check(const std::string& type);
HandCheck shapes_check(const std::string& type);
HandCheck sizes_check(const std::string& type);

// What a Reshape says of w, h, d and c, as many as there are; -1 and 0 as ncnn means them.
std::vector<int> reshape_sizes(const LayerLine& layer, const std::vector<Shape>& inputs);

// At load, for a layer of ncnn: raises a Fault (param, without file and layer) for parameters that no input
// fits, and for a type that no declaration knows.
void check_limits(const LayerLine& layer);

// Whether the layer looks where the values of its second input say.
bool reads_values(const LayerLine& layer);

// Raises the same unless all of it lies inside the first. `values` is the second input, unpacked.
void check_values(const LayerLine& layer, const std::vector<Shape>& inputs, const ncnn::Mat& values);

void check_roi_align(const LayerLine& layer, const std::vector<Shape>& inputs, const float* roi);
void check_crop_values(const std::vector<Shape>& inputs, const int* values);

// At load, for a custom layer: raises a Fault (param, without file and layer) for a parameter that no op
// declares, which the layer would ignore, and for an array where one number belongs or the reverse.
void check_params(const LayerLine& layer);

// At load: why the layer cannot stand with its numbers of inputs and outputs; empty when it can.
std::string bad_arity(const LayerLine& layer);

// After load: what ncnn itself does not see amiss with the numbers of inputs and outputs, now that the layer
// has its parameters; empty when nothing is.
std::string bad_wiring(const ncnn::Layer& layer);

// Before the weights are loaded: raises a Fault (weights, without file) unless the .bin holds what the
// layers, which have their parameters, will ask for, in forms that they take. What is left at its end is not
// looked at.
void check_weights(const std::vector<LayerLine>& lines, const std::vector<ncnn::Layer*>& layers,
                   const std::filesystem::path& bin);

// A Fault about the inputs.
Fault refuse(const std::string& what, const std::string& expected, const std::vector<Shape>& got);

} // namespace runtime
