// Between numpy arrays (outer first) and ncnn blobs (padded channels), without a copy where both agree.
#pragma once

#include "pool.h"

#include <mat.h>
#include <pybind11/numpy.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace runtime
{

// A blob that looks at an array's memory. It holds the reference count that ncnn wants to see: it starts at
// 2, so that ncnn never frees the memory and never works in place on it. Must outlive every blob made from
// it.
class Borrowed
{
public:
    // Looks at `array` where its layout allows, else copies it into the pool. `array` is float32,
    // C-contiguous, native and of 1 to 4 dimensions; raises a Fault (input) unless it is, or when a value is
    // NaN, or when it has another shape than `expected`.
    Borrowed(const std::string& name, const pybind11::array& array,
             const std::optional<std::vector<int>>& expected, bool index, const std::shared_ptr<Pool>& pool);
    Borrowed(const Borrowed&) = delete;
    const ncnn::Mat& blob() const { return mat; }

private:
    int count = 2;
    ncnn::Mat mat;
};

// The blob as a float32 array; the array shares the blob's memory when nothing else owns it and its channels
// have no gaps, and then keeps it and the pool alive.
pybind11::array to_array(const std::string& name, ncnn::Mat&& blob, const std::shared_ptr<Pool>& pool);

} // namespace runtime
