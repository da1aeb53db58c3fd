// Layers that read or write a part of a picture, which must lie inside it.
#include "checks.h"

#include <algorithm>
#include <climits>
#include <cmath>
#include <unordered_map>

namespace runtime
{

// The second input is written over the first, from an offset on. 9 starts and 11 axes, or else the offsets 0,
// 1, 13 and 2 of w, h, d and c.
static void copy_to(const LayerLine& l, const std::vector<Shape>& in)
{
    const Shape &whole = in[0], &part = in[1];
    if (whole.sizes() == part.sizes())
        return; // ncnn takes the second as it is
    const std::vector<int> sizes = whole.sizes();
    std::vector<long long> offsets(sizes.size()); // outer first
    const std::vector<int>&starts = l.array(9), &axes = l.array(11);
    if (!starts.empty()) {
        const size_t count = axes.empty() ? sizes.size() : axes.size();
        if (starts.size() < count)
            throw refuse("it has too few starts", std::to_string(count), in);
        for (size_t i = 0; i < count; i++) {
            long long axis = axes.empty() ? (long long)i : axes[i];
            axis += axis < 0 ? whole.dims : 0;
            if (axis < 0 || axis >= whole.dims)
                throw refuse("it starts along axis " + std::to_string(axis), "an axis of its first input",
                             in);
            const long long start = starts[i];
            offsets[(size_t)axis] = start == -233 ? 0 : start < 0 ? start + sizes[(size_t)axis] : start;
        }
    } else {
        static const int ids[] = {2, 13, 1, 0}; // c, d, h, w
        size_t axis = 0;
        for (int id : ids)
            if (id == 0 || (id == 1 && whole.dims > 1) || (id == 2 && whole.dims > 2) ||
                (id == 13 && whole.dims > 3))
                offsets[axis++] = l.integer(id, 0);
    }
    bool fits = part.dims == whole.dims;
    for (size_t i = 0; fits && i < sizes.size(); i++)
        fits = offsets[i] >= 0 && offsets[i] + part.sizes()[i] <= sizes[i];
    if (!fits)
        throw refuse("its second input reaches outside its first", "one that lies inside it", in);
}

static void region(const std::vector<Shape>& in, long long width, long long height, long long channels)
{
    if (in[0].dims != 3 || in[1].dims > 2 || in[1].total() != 4)
        throw refuse("its inputs have the wrong shape", "[channels, height, width] and 4 numbers", in);
    if (width < 1 || height < 1 || width > INT_MAX / height || channels > INT_MAX / (width * height))
        throw refuse("its output would have an impossible size of " + std::to_string(height) + " by " +
                         std::to_string(width),
                     "1 or more each", in);
}

static void pooled_region(const LayerLine& l, const std::vector<Shape>& in)
{
    region(in, l.integer(0, 0), l.integer(1, 0), in[0].c);
}

static void position_sensitive_region(const LayerLine& l, const std::vector<Shape>& in)
{
    const long long width = l.integer(0, 7), height = l.integer(1, 7), channels = l.integer(3, 0);
    region(in, width, height, 1);
    if (channels < 1 || channels > INT_MAX / (width * height) || in[0].c != channels * width * height)
        throw refuse("its input does not fit its output", "width * height * outputs channels", in);
}

namespace
{

struct Samples {
    double count; // along this axis, at most
    bool inside;
};

} // namespace

// Where ROIAlign's first version looks: it cuts each bin at the border, and then goes on in steps of the bin
// uncut.
static Samples original(float start, float bin, int bins, int ratio, int size)
{
    double most = 0;
    for (int i = 0; i < bins; i++) {
        const float low = std::min(std::max(start + i * bin, 0.f), (float)size);
        const float high = std::min(std::max(start + (i + 1) * bin, 0.f), (float)size);
        const int count = ratio > 0 ? ratio : (int)std::ceil(high - low);
        if (count < 1)
            continue;
        const float first = low + 0.5f * bin / (float)count, last = low + (count - 0.5f) * bin / (float)count;
        if (!(std::min(first, last) > -1.f && std::max(first, last) < (float)size))
            return {0, false};
        most = std::max(most, (double)count);
    }
    return {most * bins, true};
}

void check_roi_align(const LayerLine& l, const std::vector<Shape>& in, const float* roi)
{
    const float scale = l.number(2, 1.f);
    const bool aligned = l.integer(4, 0) != 0, detectron = l.integer(5, 0) == 1;
    double total = 1;
    for (int axis = 0; axis < 2; axis++) { // x, y
        const int bins = l.integer(axis, 0), ratio = l.integer(3, 0), size = axis ? in[0].h : in[0].w;
        const float start = roi[axis] * scale - (aligned ? 0.5f : 0.f);
        float length = roi[axis + 2] * scale - (aligned ? 0.5f : 0.f) - start;
        if (!aligned)
            length = std::max(length, 1.f);
        const float bin = length / (float)bins;
        const double per_bin = ratio > 0 ? ratio : std::max(std::ceil((double)bin), 0.0);
        const Samples samples =
            detectron ? Samples{per_bin * bins, true} : original(start, bin, bins, ratio, size);
        if (!std::isfinite(start) || !std::isfinite(length) || !samples.inside)
            throw refuse("its region reaches outside its input", "one that lies inside it", in);
        total *= samples.count;
    }
    if (total > 1 << 25) // ncnn keeps 32 bytes for each
        throw refuse("it would take too many samples", "a smaller region or sampling_ratio", in);
}

HandCheck regions_check(const std::string& type)
{
    static const std::unordered_map<std::string, HandCheck> table = {
        {"CopyTo", copy_to},
        {"ROIPooling", pooled_region},
        {"ROIAlign", pooled_region},
        {"PSROIPooling", position_sensitive_region},
    };
    const auto found = table.find(type);
    return found == table.end() ? nullptr : found->second;
}

} // namespace runtime
