// The extension module runtime._ncnn. Its Net is the C++ one; runtime/net.py wraps it for people.
#include "arrays.h"
#include "background.h"
#include "fault.h"
#include "machine.h"
#include "net.h"
#include "outside.h"
#include "serve.h"

#include <custom_layers/cpu_mask.h>
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

// Everything that a run touches, so that it may go on when nobody waits for it any more.
struct Job {
    std::shared_ptr<runtime::Net> net;      // the last to go
    std::deque<runtime::Borrowed> borrowed; // a deque: its elements never move
    std::vector<std::pair<int, ncnn::Mat>> given;
    std::vector<int> wanted;
    runtime::Progress progress;
    std::vector<ncnn::Mat> values;
    std::vector<double> seconds; // of each layer
};

// Arrays that runs look at for which nobody waits. Only a thread of Python may drop them; never destroyed,
// since such a run may outlive Python.
using Abandoned = std::vector<std::pair<std::weak_ptr<Job>, std::vector<py::object>>>;

Abandoned& abandoned()
{
    static Abandoned* const only = new Abandoned;
    return *only;
}

void drop_finished()
{
    Abandoned& all = abandoned();
    for (size_t i = all.size(); i-- > 0;)
        if (all[i].first.expired())
            all.erase(all.begin() + (std::ptrdiff_t)i);
}

// Called by whoever waits, without the interpreter's lock. Raises what a handler of a signal raises.
void run_signal_handlers()
{
    const py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0)
        throw py::error_already_set();
}

std::shared_ptr<Job> ran(const std::shared_ptr<runtime::Net>& net,
                         const std::map<std::string, py::array>& inputs,
                         const std::vector<std::string>& outputs)
{
    drop_finished();
    const auto job = std::make_shared<Job>();
    job->net = net;
    for (const auto& [name, array] : inputs) {
        const runtime::Net::Input& input = net->input(name);
        runtime::borrow(job->borrowed, name, array, input.shape, input.index, *net->pool());
        job->given.emplace_back(net->blob(name), job->borrowed.back().blob());
    }
    for (const std::string& name : outputs)
        job->wanted.push_back(net->blob(name));

    const auto work = [job] {
        job->values = job->net->run(job->given, job->wanted, &job->progress, &job->seconds);
    };
    bool left = false;
    const auto wake = [&net, &left, stops = net->stops()] {
        left = true; // unless nothing is raised
        if (net->stops() != stops)
            throw Fault(runtime::Kind::layer, "the run was stopped");
        run_signal_handlers();
        left = false;
    };
    try {
        const py::gil_scoped_release release;
        runtime::in_background(work, wake);
    } catch (...) {
        if (!left)
            throw;
        job->progress.stop = true;
        std::vector<py::object> arrays;
        for (const auto& [name, array] : inputs)
            arrays.push_back(array);
        abandoned().emplace_back(job, std::move(arrays));
        throw;
    }
    return job;
}

py::dict run(const std::shared_ptr<runtime::Net>& net, const std::map<std::string, py::array>& inputs,
             const std::vector<std::string>& outputs)
{
    const std::shared_ptr<Job> job = ran(net, inputs, outputs);
    py::dict results;
    for (size_t i = 0; i < outputs.size(); i++)
        results[py::str(outputs[i])] = runtime::to_array(outputs[i], std::move(job->values[i]), net->pool());
    return results;
}

std::vector<double> times(const std::shared_ptr<runtime::Net>& net,
                          const std::map<std::string, py::array>& inputs,
                          const std::vector<std::string>& outputs)
{
    return ran(net, inputs, outputs)->seconds;
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
    std::vector<std::string> types(names, names + count);
    for (const std::string& type : runtime::outside_types())
        types.push_back(type);
    return types;
}

std::shared_ptr<runtime::Net> load(const std::filesystem::path& param, const std::filesystem::path& bin,
                                   int threads, bool fp16_storage, bool fp16_packed, bool fp16_arithmetic,
                                   bool bf16_storage, bool bf16_arithmetic, bool winograd, bool sgemm,
                                   bool packing, bool lightmode, bool vulkan, size_t memory_limit, bool guard,
                                   bool any_shape)
{
    const runtime::Options options{threads,         fp16_storage, fp16_packed, fp16_arithmetic, bf16_storage,
                                   bf16_arithmetic, winograd,     sgemm,       packing,         lightmode,
                                   vulkan,          memory_limit, guard,       any_shape};
    const auto loaded = std::make_shared<std::shared_ptr<runtime::Net>>();
    const py::gil_scoped_release release;
    runtime::in_background([=] { *loaded = std::make_shared<runtime::Net>(param, bin, options); },
                           run_signal_handlers);
    return *loaded;
}

void serve(int control)
{
    const py::gil_scoped_release release;
    runtime::serve(control);
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
    const std::string wrong = custom_layers::wrong_cpu_mask();
    if (!wrong.empty())
        throw py::import_error(wrong);
    m.attr("ncnn_version") = NCNN_VERSION_STRING;
    m.attr("cpu_in_use") = custom_layers::cpu_in_use();
    m.attr("has_bf16") = (bool)NCNN_BF16;
    m.attr("has_vulkan") = (bool)NCNN_VULKAN;
    m.def("layer_types", layer_types);
    m.def("add_layers", runtime::add_layers, "library"_a);
    m.def("layer_libraries", runtime::outside_libraries);
    m.def("default_threads", runtime::default_threads, "root"_a = "");
    m.def("memory_limit", runtime::memory_limit, "root"_a = "");
    m.def("half_precision", runtime::half_precision);
    m.def("bf16_products", runtime::bf16_products);

    m.def("serve", serve, "control"_a);

    py::class_<runtime::Net, std::shared_ptr<runtime::Net>>(m, "Net")
        .def(py::init(&load), "param"_a, "bin"_a, py::kw_only(), "threads"_a, "fp16_storage"_a,
             "fp16_packed"_a, "fp16_arithmetic"_a, "bf16_storage"_a, "bf16_arithmetic"_a, "winograd"_a,
             "sgemm"_a, "packing"_a, "lightmode"_a, "vulkan"_a, "memory_limit"_a, "guard"_a, "any_shape"_a)
        .def("run", run, "inputs"_a, "outputs"_a)
        .def("times", times, "inputs"_a, "outputs"_a)
        .def("layers", layers)
        .def("inputs", inputs)
        .def("index_inputs", index_inputs)
        .def("outputs", &runtime::Net::outputs)
        .def("blobs", &runtime::Net::blobs)
        .def("stop", &runtime::Net::stop)
        .def("memory", [](const runtime::Net& net) { return net.pool()->usage(); });
}
