#include "arrays.h"

#include "checks.h"
#include "fault.h"

#include <climits>
#include <cmath>
#include <cstring>

namespace py = pybind11;

namespace runtime
{

static std::string shape_text(const std::vector<int>& sizes)
{
    std::vector<std::string> parts;
    for (int size : sizes)
        parts.push_back(std::to_string(size));
    return "[" + join(parts) + "]";
}

static std::vector<int> checked_sizes(const std::string& name, const py::array& array,
                                      const std::optional<std::vector<int>>& expected)
{
    const std::string who = "input " + quoted(name);
    std::vector<int> sizes;
    for (py::ssize_t i = 0; i < array.ndim(); i++) {
        if (array.shape(i) > INT_MAX / 4)
            throw Fault(Kind::input, who + " is too large");
        sizes.push_back((int)array.shape(i));
    }
    if (sizes.empty() || sizes.size() > 4)
        throw Fault(Kind::input, who + " has the wrong number of dimensions")
            .wants("1 to 4")
            .has(shape_text(sizes));
    if (expected && sizes != *expected)
        throw Fault(Kind::input, who + " has the wrong shape")
            .wants(shape_text(*expected))
            .has(shape_text(sizes));
    if (array.size() == 0)
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

Borrowed::Borrowed(const std::string& name, const py::array& array,
                   const std::optional<std::vector<int>>& expected, bool index,
                   const std::shared_ptr<Pool>& pool)
{
    const char kind = array.dtype().kind();
    if (!py::isinstance<py::array_t<float>>(array) && !(index && kind == 'i' && array.itemsize() == 4))
        throw Fault(Kind::input, "input " + quoted(name) + " has the wrong type").wants("float32");
    if (!(array.flags() & py::array::c_style))
        throw Fault(Kind::input, "input " + quoted(name) + " is not contiguous").wants("C order");
    const std::vector<int> sizes = checked_sizes(name, array, expected);
    float* values = (float*)const_cast<void*>(array.data());
    const size_t total = (size_t)array.size();
    if (!index)
        refuse_nan(name, values, total);

    if (readable_in_place(values, sizes)) {
        mat = view(sizes, values);
        mat.refcount = &count;
        return;
    }
    mat = fresh(sizes, pool.get());
    if (mat.empty())
        throw Fault(Kind::input, "out of memory for input " + quoted(name));
    const int channels = mat.dims < 3 ? 1 : mat.c;
    const size_t step = total / (size_t)channels;
    for (int q = 0; q < channels; q++)
        memcpy((float*)mat.data + mat.cstep * (size_t)q, values + step * (size_t)q, step * sizeof(float));
}

namespace
{

// What a handed out array keeps alive; the blob goes first.
struct Owner {
    std::shared_ptr<Pool> pool;
    ncnn::Mat blob;
};

} // namespace

py::array to_array(const std::string& name, ncnn::Mat&& blob, const std::shared_ptr<Pool>& pool)
{
    if (blob.empty())
        return py::array_t<float>(0);
    if (blob.elembits() != 32 || blob.elempack != 1 || blob.n != 1)
        throw Fault(Kind::blob, "blob " + quoted(name) + " is not plain float32")
            .has(std::to_string(blob.elembits()) + " bits, packed by " + std::to_string(blob.elempack) +
                 ", batch of " + std::to_string(blob.n));
    const Shape shape = Shape::of(blob);
    std::vector<py::ssize_t> sizes;
    for (int size : shape.sizes())
        sizes.push_back(size);
    const size_t step = (size_t)blob.w * blob.h * blob.d;
    const bool gaps = blob.dims > 2 && blob.c > 1 && blob.cstep != step;
    if (!gaps && blob.refcount && *blob.refcount == 1) {
        float* values = blob;
        auto owner = std::make_unique<Owner>(Owner{pool, std::move(blob)});
        py::capsule base(owner.get(), [](void* p) { delete (Owner*)p; });
        owner.release();
        return py::array_t<float>(sizes, values, base);
    }
    py::array_t<float> copy(sizes);
    const int channels = blob.dims < 3 ? 1 : blob.c;
    for (int q = 0; q < channels; q++)
        memcpy(copy.mutable_data() + step * (size_t)q, (const float*)blob.data + blob.cstep * (size_t)q,
               (blob.dims < 3 ? (size_t)blob.w * blob.h : step) * sizeof(float));
    return copy;
}

} // namespace runtime
