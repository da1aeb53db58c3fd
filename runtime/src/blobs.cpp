#include "blobs.h"

#include "checks.h"
#include "fault.h"

#include <climits>
#include <cmath>
#include <cstring>

namespace runtime
{

template <class T> static std::string shape_text(const std::vector<T>& sizes)
{
    std::vector<std::string> parts;
    for (T size : sizes)
        parts.push_back(std::to_string(size));
    return "[" + join(parts) + "]";
}

static std::vector<int> checked_sizes(const std::string& name, const std::vector<long long>& shape,
                                      const std::optional<std::vector<int>>& expected)
{
    const std::string who = "input " + quoted(name);
    std::vector<int> sizes;
    bool empty = false;
    for (long long size : shape) {
        if (size > INT_MAX / 4)
            throw Fault(Kind::input, who + " is too large");
        empty = empty || size < 1;
        sizes.push_back((int)size);
    }
    if (sizes.empty() || sizes.size() > 4)
        throw Fault(Kind::input, who + " has the wrong number of dimensions")
            .wants("1 to 4")
            .has(shape_text(shape));
    if (expected && sizes != *expected)
        throw Fault(Kind::input, who + " has the wrong shape")
            .wants(shape_text(*expected))
            .has(shape_text(sizes));
    if (empty)
        throw Fault(Kind::input, who + " is empty").has(shape_text(sizes));
    return sizes;
}

static void refuse_nan(const std::string& name, const float* values, size_t count)
{
    bool bad = false;
    for (size_t i = 0; i < count; i++)
        bad |= values[i] != values[i];
    if (!bad)
        return;
    size_t where = 0;
    while (!std::isnan(values[where]))
        where++;
    throw Fault(Kind::input, "input " + quoted(name) + " holds NaN")
        .wants("numbers")
        .has("NaN at element " + std::to_string(where) + " of " + std::to_string(count));
}

// Whether ncnn may read the memory in place. It rounds each channel up to 16 bytes, and copies the rounding
// along; vectorised kernels load 16 aligned bytes at the start of a channel, and read up to 64 bytes past the
// end of a blob: harmless inside a page that the array touches anyway, a fault beyond.
static bool readable_in_place(const float* values, const std::vector<int>& sizes)
{
    size_t count = 1, channel = 1;
    for (size_t i = 0; i < sizes.size(); i++) {
        count *= (size_t)sizes[i];
        if (i > 0 || sizes.size() < 3)
            channel *= (size_t)sizes[i];
    }
    const size_t begin = (size_t)values, last = begin + count * sizeof(float) - 1;
    return begin % 16 == 0 && channel % 4 == 0 && last >> 12 == (last + NCNN_MALLOC_OVERREAD) >> 12;
}

static ncnn::Mat view(const std::vector<int>& s, float* values)
{
    if (s.size() == 1)
        return ncnn::Mat(s[0], values);
    if (s.size() == 2)
        return ncnn::Mat(s[1], s[0], values);
    if (s.size() == 3)
        return ncnn::Mat(s[2], s[1], s[0], values);
    return ncnn::Mat(s[3], s[2], s[1], s[0], values);
}

static ncnn::Mat fresh(const std::vector<int>& s, ncnn::Allocator* pool)
{
    ncnn::Mat m;
    if (s.size() == 1)
        m.create(s[0], 4u, pool);
    else if (s.size() == 2)
        m.create(s[1], s[0], 4u, pool);
    else if (s.size() == 3)
        m.create(s[2], s[1], s[0], 4u, pool);
    else
        m.create(s[3], s[2], s[1], s[0], 4u, pool);
    return m;
}

Borrowed::Borrowed(const std::string& name, const void* given, const std::vector<long long>& shape,
                   const std::optional<std::vector<int>>& expected, bool index, Pool& pool)
{
    const std::vector<int> sizes = checked_sizes(name, shape, expected);
    float* const values = (float*)const_cast<void*>(given);
    size_t total = 1;
    for (int size : sizes)
        total *= (size_t)size;
    if (!index)
        refuse_nan(name, values, total);

    if (!pool.guards() && readable_in_place(values, sizes)) {
        mat = view(sizes, values);
        mat.refcount = &count;
        return;
    }
    mat = fresh(sizes, &pool);
    if (mat.empty())
        throw Fault(Kind::input, "out of memory for input " + quoted(name));
    const int channels = mat.dims < 3 ? 1 : mat.c;
    const size_t step = total / (size_t)channels;
    for (int q = 0; q < channels; q++)
        memcpy((float*)mat.data + mat.cstep * (size_t)q, values + step * (size_t)q, step * sizeof(float));
}

std::vector<int> plain_sizes(const std::string& name, const ncnn::Mat& blob)
{
    if (blob.empty())
        return {0};
    if (blob.elembits() != 32 || blob.elempack != 1 || blob.n != 1)
        throw Fault(Kind::blob, "blob " + quoted(name) + " is not plain float32")
            .has(std::to_string(blob.elembits()) + " bits, packed by " + std::to_string(blob.elempack) +
                 ", batch of " + std::to_string(blob.n));
    return Shape::of(blob).sizes();
}

bool is_dense(const ncnn::Mat& blob)
{
    return blob.dims < 3 || blob.c == 1 || blob.cstep == (size_t)blob.w * blob.h * blob.d;
}

void copy_values(const ncnn::Mat& blob, float* to)
{
    const int channels = blob.dims < 3 ? 1 : blob.c;
    const size_t step = (size_t)blob.w * blob.h * blob.d;
    for (int q = 0; q < channels; q++)
        memcpy(to + step * (size_t)q, (const float*)blob.data + blob.cstep * (size_t)q, step * sizeof(float));
}

} // namespace runtime
