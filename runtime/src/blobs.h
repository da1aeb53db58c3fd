// Between arrays of numbers, outer first and without gaps, and ncnn's blobs (padded channels), without a copy
// where both agree.
#pragma once

#include "pool.h"

#include <mat.h>

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
    // Looks at the memory where its layout allows and `pool` has no guards, else copies it into the pool.
    // `values` are float32, or int32 for an `index`. Raises a Fault (input) for a shape that ncnn cannot
    // have, or another than `expected`, and for a value that is NaN.
    Borrowed(const std::string& name, const void* values, const std::vector<long long>& shape,
             const std::optional<std::vector<int>>& expected, bool index, Pool& pool);
    Borrowed(const Borrowed&) = delete;
    const ncnn::Mat& blob() const { return mat; }

private:
    int count = 2;
    ncnn::Mat mat;
};

// The blob's sizes, outer first; {0} for an empty one. Raises a Fault (blob) unless it is plain float32.
std::vector<int> plain_sizes(const std::string& name, const ncnn::Mat& blob);

// Whether its values lie without gaps.
bool is_dense(const ncnn::Mat& blob);

// The values of a plain blob, without gaps.
void copy_values(const ncnn::Mat& blob, float* to);

} // namespace runtime
