// numpy arrays as blobs, and blobs as numpy arrays.
#pragma once

#include "blobs.h"

#include <pybind11/numpy.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace runtime
{

// Adds `array` to the borrowed ones. It is float32, or int32 for an `index`, and C-contiguous; raises a Fault
// (input) unless it is, and what Borrowed raises.
void borrow(std::deque<Borrowed>& borrowed, const std::string& name, const pybind11::array& array,
            const std::optional<std::vector<int>>& expected, bool index, Pool& pool);

// The blob as a float32 array; the array shares the blob's memory when nothing else owns it and its channels
// have no gaps, and then keeps it and the pool alive.
pybind11::array to_array(const std::string& name, ncnn::Mat&& blob, const std::shared_ptr<Pool>& pool);

} // namespace runtime
