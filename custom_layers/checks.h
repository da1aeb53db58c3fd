// What every layer checks before it touches memory.
#pragma once

#include "error.h"

#include <limits.h>
#include <stdint.h>

namespace custom_layers
{

// The number of blobs that the param file gave to the layer; in load_param. A layer made by hand has none
// yet.
int check_io(const ncnn::Layer& layer, int min_in, int max_in, int min_out, int max_out);

// The blob is there, is float32, and is packed only if the layer takes packed blobs.
int check_blob(const ncnn::Layer& layer, const ncnn::Mat& blob);

// The number of inputs of a forward, and check_blob on each.
int check_blobs(const ncnn::Layer& layer, const std::vector<ncnn::Mat>& blobs, int min_in, int max_in);

// Values of a blob, without the gaps between channels.
inline size_t value_count(const ncnn::Mat& m) { return (size_t)m.w * m.h * m.d * m.c * m.elempack; }

// Size of the outermost dimension, unpacked: what one bias value belongs to.
inline int outer_size(const ncnn::Mat& m)
{
    return (m.dims == 1 ? m.w : m.dims == 2 ? m.h : m.c) * m.elempack;
}

// Values per element that ncnn's own layers give a blob of `channels` on this machine.
int best_packing(int channels, const ncnn::Option& opt);

// The same values as a 1-D unpacked blob without gaps: `m` itself when it is that already. Empty if out of
// memory.
ncnn::Mat flatten(const ncnn::Mat& m, const ncnn::Option& opt);

// ncnn's options for a helper layer: float32 throughout, results in workspace memory.
ncnn::Option helper_option(const ncnn::Option& opt);

// Reads parameters and reports the first one that is of the wrong type or out of range.
class ParamReader
{
public:
    ParamReader(const ncnn::Layer& layer, const ncnn::ParamDict& params) : layer_(layer), params_(params) {}

    int integer(int id, const char* name, int fallback, int low, int high = INT_MAX);
    float number(int id, const char* name, float fallback); // anything but NaN
    ncnn::Mat numbers(int id, const char* name);            // float array, may be empty

    // 0, or -1 after a report.
    int status() const { return status_; }

private:
    const ncnn::Layer& layer_;
    const ncnn::ParamDict& params_;
    int status_ = 0;
};

} // namespace custom_layers
