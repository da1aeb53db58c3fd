// The extension module runtime._ncnn. Its Net is the C++ one; runtime/net.py wraps it for people.
#include "arrays.h"
#include "fault.h"
#include "machine.h"
#include "net.h"

#include <custom_layers/register_all.h>

#include <platform.h>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <deque>
#include <map>

namespace py = pybind11;
using namespace py::literals;
using runtime::Fault;

namespace
{

const char* class_name(runtime::Kind kind)
{
    switch (kind) {
    case runtime::Kind::param:
        return "ParamError";
    case runtime::Kind::weights:
        return "WeightsError";
    case runtime::Kind::input:
        return "InputError";
    case runtime::Kind::blob:
        return "BlobError";
    case runtime::Kind::layer:
        return "LayerError";
    case runtime::Kind::option:
        return "OptionError";
    }
    return "NcnnError";
}

void raise_in_python(const Fault& fault)
{
    auto text = [](const std::string& value) -> py::object {
        // Paths and ncnn's own words may hold any byte.
        if (value.empty())
            return py::none();
        return py::reinterpret_steal<py::object>(
            PyUnicode_DecodeUTF8(value.data(), (Py_ssize_t)value.size(), "backslashreplace"));
    };
    const py::object line = fault.line ? py::object(py::int_(fault.line)) : py::none();
    const py::object type = py::module_::import("runtime.errors").attr(class_name(fault.kind));
    const py::object error =
        type(text(fault.text), "file"_a = text(fault.file), "line"_a = line, "layer"_a = text(fault.layer),
             "layer_type"_a = text(fault.layer_type), "expected"_a = text(fault.expected),
             "got"_a = text(fault.got), "reason"_a = text(fault.reason), "fix"_a = text(fault.fix));
    PyErr_SetObject(type.ptr(), error.ptr());
}

py::dict run(const runtime::Net& net, const std::map<std::string, py::array>& inputs,
             const std::vector<std::string>& outputs)
{
    std::deque<runtime::Borrowed> borrowed; // a deque: its elements never move
    std::vector<std::pair<int, ncnn::Mat>> given;
    for (const auto& [name, array] : inputs) {
        const runtime::Net::Input* found = nullptr;
        for (const auto& input : net.inputs())
            if (input.name == name)
                found = &input;
        if (!found) {
            std::vector<std::string> names;
            for (const auto& input : net.inputs())
                names.push_back(input.name);
            throw Fault(runtime::Kind::input, "the net has no input " + runtime::quoted(name))
                .wants(names.empty() ? "no inputs" : runtime::join(names));
        }
        borrowed.emplace_back(name, array, found->shape, found->index, net.pool());
        given.emplace_back(net.blob(name), borrowed.back().blob());
    }
    std::vector<int> wanted;
    for (const std::string& name : outputs)
        wanted.push_back(net.blob(name));

    std::vector<ncnn::Mat> values;
    {
        py::gil_scoped_release release;
        values = net.run(given, wanted);
    }
    py::dict results;
    for (size_t i = 0; i < outputs.size(); i++)
        results[py::str(outputs[i])] = runtime::to_array(outputs[i], std::move(values[i]), net.pool());
    return results;
}

py::list layers(const runtime::Net& net)
{
    py::list result;
    for (const runtime::LayerLine& line : net.layers())
        result.append(py::make_tuple(line.type, line.name, line.bottoms, line.tops));
    return result;
}

py::dict inputs(const runtime::Net& net)
{
    py::dict result;
    for (const auto& input : net.inputs())
        result[py::str(input.name)] =
            input.shape ? py::object(py::tuple(py::cast(*input.shape))) : py::none();
    return result;
}

std::vector<std::string> index_inputs(const runtime::Net& net)
{
    std::vector<std::string> names;
    for (const auto& input : net.inputs())
        if (input.index)
            names.push_back(input.name);
    return names;
}

std::vector<std::string> layer_types()
{
    size_t count = 0;
    const char* const* names = custom_layers::layer_names(&count);
    return {names, names + count};
}

std::unique_ptr<runtime::Net> load(const std::filesystem::path& param, const std::filesystem::path& bin,
                                   int threads, bool fp16_storage, bool fp16_packed, bool fp16_arithmetic,
                                   bool bf16_storage, bool winograd, bool sgemm, bool packing, bool lightmode,
                                   bool vulkan, size_t memory_limit)
{
    const runtime::Options options{threads,      fp16_storage, fp16_packed, fp16_arithmetic,
                                   bf16_storage, winograd,     sgemm,       packing,
                                   lightmode,    vulkan,       memory_limit};
    py::gil_scoped_release release;
    return std::make_unique<runtime::Net>(param, bin, options);
}

} // namespace

PYBIND11_MODULE(_ncnn, m)
{
    m.doc() = "ncnn and our layers, for runtime/net.py";
    py::register_exception_translator([](std::exception_ptr pointer) {
        try {
            if (pointer)
                std::rethrow_exception(pointer);
        } catch (const Fault& fault) {
            raise_in_python(fault);
        }
    });
    m.attr("ncnn_version") = NCNN_VERSION_STRING;
    m.def("layer_types", layer_types);
    m.def("default_threads", runtime::default_threads);
    m.def("memory_limit", runtime::memory_limit);

    py::class_<runtime::Net>(m, "Net")
        .def(py::init(&load), "param"_a, "bin"_a, py::kw_only(), "threads"_a, "fp16_storage"_a,
             "fp16_packed"_a, "fp16_arithmetic"_a, "bf16_storage"_a, "winograd"_a, "sgemm"_a, "packing"_a,
             "lightmode"_a, "vulkan"_a, "memory_limit"_a)
        .def("run", run, "inputs"_a, "outputs"_a)
        .def("layers", layers)
        .def("inputs", inputs)
        .def("index_inputs", index_inputs)
        .def("outputs", &runtime::Net::outputs)
        .def("blobs", &runtime::Net::blobs)
        .def("memory", [](const runtime::Net& net) { return net.pool()->usage(); });
}
