#include "arrays.h"

#include "fault.h"

namespace py = pybind11;

namespace runtime
{

void borrow(std::deque<Borrowed>& borrowed, const std::string& name, const py::array& array,
            const std::optional<std::vector<int>>& expected, bool index, Pool& pool)
{
    const char kind = array.dtype().kind();
    if (!py::isinstance<py::array_t<float>>(array) && !(index && kind == 'i' && array.itemsize() == 4))
        throw Fault(Kind::input, "input " + quoted(name) + " has the wrong type").wants("float32");
    if (!(array.flags() & py::array::c_style))
        throw Fault(Kind::input, "input " + quoted(name) + " is not contiguous").wants("C order");
    const std::vector<long long> shape(array.shape(), array.shape() + array.ndim());
    borrowed.emplace_back(name, array.data(), shape, expected, index, pool);
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
    const std::vector<int> sizes = plain_sizes(name, blob);
    if (blob.empty())
        return py::array_t<float>(0);
    if (is_dense(blob) && blob.refcount && *blob.refcount == 1) {
        float* values = blob;
        auto owner = std::make_unique<Owner>(Owner{pool, std::move(blob)});
        py::capsule base(owner.get(), [](void* p) { delete (Owner*)p; });
        owner.release();
        return py::array_t<float>(sizes, values, base);
    }
    py::array_t<float> copy(sizes);
    copy_values(blob, copy.mutable_data());
    return copy;
}

} // namespace runtime
