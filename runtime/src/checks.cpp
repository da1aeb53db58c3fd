#include "checks.h"

#include <cstdint>
#include <layer_type.h>

#include <unordered_map>
#include <unordered_set>

namespace runtime
{

Shape Shape::of(const ncnn::Mat& m)
{
    Shape s{m.dims, m.w, m.h, m.d, m.c};
    (m.dims == 1 ? s.w : m.dims == 2 ? s.h : s.c) *= m.elempack;
    s.bits = m.elembits();
    return s;
}

std::vector<int> Shape::sizes() const
{
    switch (dims) {
    case 1:
        return {w};
    case 2:
        return {h, w};
    case 3:
        return {c, h, w};
    case 4:
        return {c, d, h, w};
    default:
        return {};
    }
}

std::string Shape::text() const
{
    std::vector<std::string> parts;
    for (int size : sizes())
        parts.push_back(std::to_string(size));
    return "[" + join(parts) + "]";
}

std::string text_of(const std::vector<Shape>& shapes)
{
    std::vector<std::string> parts;
    for (const Shape& shape : shapes)
        parts.push_back(shape.text());
    return parts.empty() ? "nothing" : join(parts);
}

Fault refuse(const std::string& what, const std::string& expected, const std::vector<Shape>& got)
{
    Fault fault(Kind::layer, what);
    fault.wants(expected).has(text_of(got));
    return fault;
}

HandCheck hand_check(const std::string& type)
{
    for (auto table :
         {attention_check, convolution_check, regions_check, shapes_check, sizes_check, weights_check})
        if (const HandCheck check = table(type))
            return check;
    return nullptr;
}

Check find_check(const std::string& type) { return {true, hand_check(type)}; }

bool reads_values(const LayerLine& l)
{
    return l.type == "ROIAlign" || (l.type == "Crop" && l.bottoms.size() > 1 && l.integer(0, 0) == -233);
}

void check_values(const LayerLine& l, const std::vector<Shape>& in, const ncnn::Mat& values)
{
    if (l.type == "ROIAlign")
        check_roi_align(l, in, values);
    else
        check_crop_values(in, values);
}

std::string bad_arity(const LayerLine& l)
{
    struct Range {
        size_t min_in, max_in, min_out, max_out;
    };
    constexpr size_t any = SIZE_MAX;
    static const std::unordered_map<std::string, Range> table = {
        {"Input", {0, 0, 1, any}},
        {"MemoryData", {0, 0, 1, 1}},
        {"Concat", {1, any, 1, 1}},
        {"Slice", {1, 1, 1, any}},
        {"Split", {1, 1, 1, any}},
        {"Eltwise", {2, any, 1, 1}},
        {"MatMul", {2, 2, 1, 1}},
        {"CopyTo", {2, 2, 1, 1}},
        {"GridSample", {2, 2, 1, 1}},
        {"LSTM", {1, 3, 1, 3}},
        {"GRU", {1, 2, 1, 2}},
        {"RNN", {1, 2, 1, 2}},
        {"Proposal", {3, 3, 1, 2}},
        {"DetectionOutput", {3, 3, 1, 1}},
        {"PriorBox", {1, 2, 1, 1}},
        {"ROIPooling", {2, 2, 1, 1}},
        {"ROIAlign", {2, 2, 1, 1}},
        {"PSROIPooling", {2, 2, 1, 1}},
        {"DeformableConv2D", {2, 3, 1, 1}},
        {"RotaryEmbed", {3, 3, 1, 1}},
        {"Einsum", {1, any, 1, 1}},
        {"Noop", {0, any, 0, any}},
        {"YoloDetectionOutput", {1, any, 1, 1}},
        {"Yolov3DetectionOutput", {1, any, 1, 1}},
    };
    const auto found = table.find(l.type);
    Range range = found != table.end() ? found->second : Range{1, any, 1, any};
    const bool convolution = l.type == "Convolution" || l.type == "ConvolutionDepthWise" ||
                             l.type == "Convolution1D" || l.type == "ConvolutionDepthWise1D";
    const bool deconvolution = l.type == "Deconvolution" || l.type == "DeconvolutionDepthWise" ||
                               l.type == "Deconvolution1D" || l.type == "DeconvolutionDepthWise1D";
    if ((convolution && l.integer(19, 0)) || (deconvolution && l.integer(28, 0)))
        range = {l.integer(5, 0) ? 3u : 2u, l.integer(5, 0) ? 3u : 2u, 1, 1};
    const size_t mask = l.integer(5, 0) ? 1 : 0;
    if (l.type == "SDPA")
        range = {3 + mask, 3 + mask, 1, 1};
    if (l.type == "MultiHeadAttention")
        range = {1 + mask, 3 + mask, 1, 1};
    if ((l.type == "SDPA" || l.type == "MultiHeadAttention") && l.integer(7, 0))
        return "it keeps keys and values from one run to the next (parameter 7), which a Net does not";
    if (l.type == "BinaryOp" && !l.integer(1, 0))
        range = {2, 2, 1, 1};
    if (l.type == "Scale" && l.integer(0, 0) == -233)
        range = {2, 2, 1, 1};
    const bool in_ok = l.bottoms.size() >= range.min_in && l.bottoms.size() <= range.max_in;
    if (in_ok && l.tops.size() >= range.min_out && l.tops.size() <= range.max_out)
        return "";
    auto span = [](size_t low, size_t high) {
        return std::to_string(low) + (high == low   ? ""
                                      : high == any ? " or more"
                                                    : " to " + std::to_string(high));
    };
    return "it takes " + span(range.min_in, range.max_in) + " inputs and makes " +
           span(range.min_out, range.max_out) + " outputs, the line has " + std::to_string(l.bottoms.size()) +
           " and " + std::to_string(l.tops.size());
}

std::string bad_wiring(const ncnn::Layer& layer)
{
    if (layer.one_blob_only)
        return ""; // ncnn has checked it
    if (layer.support_inplace && layer.tops.size() > layer.bottoms.size())
        return "it works in place and has more outputs than inputs";
    // A layer that takes all its inputs at once reads the second unless it is one of these (or of ours).
    static const std::unordered_set<std::string> one_is_enough = {
        "Concat",
        "Einsum",
        "GRU",
        "Gemm",
        "Input",
        "LSTM",
        "MemoryData",
        "MultiHeadAttention",
        "Noop",
        "PriorBox",
        "RNN",
        "Slice",
        "Split",
        "YoloDetectionOutput",
        "Yolov3DetectionOutput",
    };
    const bool custom = layer.typeindex & ncnn::LayerType::CustomBit;
    if (!custom && layer.bottoms.size() < 2 && !one_is_enough.count(layer.type))
        return "with these parameters it takes 2 inputs or more, the line has " +
               std::to_string(layer.bottoms.size());
    return "";
}

} // namespace runtime
