// ncnn's layers trust their inputs: a channel count that does not fit the weights is a read out of bounds, a
// shape of -1 in the wrong place a division by zero. What can be said beforehand is said here, for the
// built-in layers in common use. The custom layers check themselves.
#pragma once

#include "fault.h"
#include "param_text.h"

#include <layer.h>

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
using Check = void (*)(const LayerLine& layer, const std::vector<Shape>& inputs);

// The check of a built-in type; null where there is none.
Check find_check(const std::string& type);

// The tables that it looks into.
Check attention_check(const std::string& type);
Check convolution_check(const std::string& type);
Check regions_check(const std::string& type);
Check weights_check(const std::string& type);
Check shapes_check(const std::string& type);

// ROIAlign looks where its second input says: raises the same unless all of it lies inside the first. `roi`
// are the four numbers of that input.
void check_roi_align(const LayerLine& layer, const std::vector<Shape>& inputs, const float* roi);

// At load, for a custom layer: raises a Fault (param, without file and layer) for a parameter that no op
// declares, which the layer would ignore, and for an array where one number belongs or the reverse.
void check_params(const LayerLine& layer);

// At load: why the layer cannot stand with its numbers of inputs and outputs; empty when it can.
std::string bad_arity(const LayerLine& layer);

// After load: what ncnn itself does not see amiss with the numbers of inputs and outputs, now that the layer
// has its parameters; empty when nothing is.
std::string bad_wiring(const ncnn::Layer& layer);

// How many weights the line says that the layer has at least: those of its tagged blobs, whose parameters
// were accepted; 0 where the type has no such parameter.
long long weight_count(const LayerLine& layer);

// A Fault about the inputs.
Fault refuse(const std::string& what, const std::string& expected, const std::vector<Shape>& got);

} // namespace runtime
