#include "net.h"

#include "capture.h"
#include "fault.h"
#include "machine.h"
#include "marks.h"
#include "outside.h"

#include <custom_layers/error.h>

#include <cpu.h>
#include <layer_type.h>

#include <chrono>
#include <climits>
#include <ctime>
#include <unordered_set>

namespace runtime
{

namespace
{

// ncnn makes the calling thread flush denormal numbers while it computes, and forgets to undo it when it
// fails.
struct FloatingPointMode {
    const int before = ncnn::get_flush_denormals();
    ~FloatingPointMode() { ncnn::set_flush_denormals(before); }
};

// Says at the end of a run, however it ends, that no layer runs.
struct Report {
    Progress* const progress;
    ~Report()
    {
        if (progress)
            progress->layer = -1;
    }
};

} // namespace

static std::string describe_code(int code, const Pool& pool)
{
    if (code != -100)
        return "it returned " + std::to_string(code);
    return "an empty result or out of memory (" + std::to_string(pool.limit_bytes() >> 20) +
           " MiB is the limit)";
}

// The layers that the wanted blobs depend on.
std::vector<char> Net::needed_layers(const std::vector<int>& wanted) const
{
    const std::vector<ncnn::Blob>& blobs = net->blobs();
    std::vector<char> needed(lines.size(), 0);
    for (int number : wanted)
        needed[(size_t)blobs[(size_t)number].producer] = 1;
    for (size_t i = lines.size(); i-- > 0;) // producers stand above their consumers
        if (needed[i])
            for (int bottom : net->layers()[i]->bottoms)
                needed[(size_t)blobs[(size_t)bottom].producer] = 1;
    return needed;
}

// Whether a blob is whole and fits its memory. A bad parameter can make ncnn return one that does not.
static bool sane(const ncnn::Mat& m)
{
    if (m.dims < 1 || m.dims > 4 || m.w < 1 || m.h < 1 || m.d < 1 || m.c < 1 || m.n != 1)
        return false;
    // Beyond INT_MAX values ncnn's own products of sizes overflow.
    return Shape::of(m).total() <= INT_MAX && (m.dims < 3 || (size_t)m.w * m.h * m.d <= m.cstep);
}

// 8-bit and 16-bit blobs, which Quantize and Cast make, may go only to layers that look at the size of a
// value.
static void check_bits(const LayerLine& line, const ncnn::Layer& layer, const std::vector<Shape>& inputs)
{
    static const std::unordered_set<std::string> any = {
        "Cast",    "Dequantize", "Requantize", "Split",   "Noop",  "Concat", "Slice", "Crop",
        "Reshape", "Flatten",    "Permute",    "Packing", "Input", "Padding"}; // and see their limits
    for (const Shape& input : inputs) {
        const bool byte = input.bits == 8 && layer.support_int8_storage;
        if (input.bits != inputs[0].bits)
            throw refuse("its inputs are numbers of different sizes", "one type", inputs);
        if (input.bits != 32 && !byte && !any.count(line.type))
            throw refuse("its input is of " + std::to_string(input.bits) + "-bit numbers", "float32", inputs);
    }
}

// Layers that are known to write all of their outputs, whatever their parameters that checks let pass:
// tests/runtime/test_unwritten.py runs every form of them that the registry has. A sample of marks is enough
// for these; the others' memory is marked whole.
static bool writes_all(const std::string& type)
{
    static const std::unordered_set<std::string> types = {
        "BatchNorm",    "Bias",          "BinaryOp",
        "Concat",       "Convolution",   "ConvolutionDepthWise",
        "Crop",         "Deconvolution", "DeconvolutionDepthWise",
        "Eltwise",      "Flatten",       "Gemm",
        "InnerProduct", "InstanceNorm",  "GroupNorm",
        "LayerNorm",    "MatMul",        "MemoryData",
        "Noop",         "Padding",       "Permute",
        "PReLU",        "ReLU",          "Reshape",
        "Scale",        "Sigmoid",       "Slice",
        "Softmax",      "Split",         "Swish",
        "UnaryOp"};
    return types.count(type) != 0;
}

// Raises a Fault (layer) where the layer that has just made `blob` did not write all of it.
void Net::check_written(const ncnn::Mat& blob) const
{
    const size_t asked = blob.allocator == memory.get() ? memory->asked(blob.data) : 0;
    if (asked == 0)
        return; // a part of another blob, or memory of others
    if (const std::optional<size_t> place = unwritten(blob, asked))
        throw Fault(Kind::layer, "the layer left a part of its output unwritten")
            .has("nothing at byte " + std::to_string(*place) + " of " + Shape::of(blob).text())
            .remedy("Its parameters ask for something that ncnn does not do");
}

// Runs one layer whose inputs are there. Layers are run one by one, in the order of the file: so each can be
// checked against the shapes that it is about to get, the one that fails is known, a blob in the middle can
// be taken out without keeping all of them, and a chain of any length needs no deep recursion.
void Net::run_layer(ncnn::Extractor& extractor, size_t number, const std::vector<char>& is_wanted,
                    std::vector<Shape>& shapes, std::unordered_map<int, ncnn::Mat>& results) const
{
    const LayerLine& line = lines[number];
    const ncnn::Layer& layer = *net->layers()[number];
    // With half precision on, ncnn converts between 16 and 32 bits before each layer.
    const bool half = settings.fp16_storage || settings.bf16_storage;
    std::vector<Shape> inputs;
    for (int bottom : layer.bottoms) {
        inputs.push_back(shapes[(size_t)bottom]);
        if (half && inputs.back().bits == 16)
            inputs.back().bits = 32;
        if (inputs.back().dims == 0 &&
            line.type == "Split") { // nothing was found, and is read more than once
            for (int top : layer.tops) {
                if (is_wanted[(size_t)top])
                    results[top] = ncnn::Mat();
            }
            return;
        }
        if (inputs.back().dims == 0)
            throw Fault(Kind::layer, "its input " + quoted(net->blobs()[(size_t)bottom].name) + " is empty");
    }
    check_bits(line, layer, inputs);
    if (checks[number])
        checks[number](line, inputs);
    if (reads_values(line)) {
        ncnn::Mat values;
        if (extractor.extract(layer.bottoms[1], values) != 0)
            throw Fault(Kind::layer, "its region cannot be unpacked: out of memory");
        check_values(line, inputs, values);
    }

    // With several outputs the inputs are kept until all outputs were seen: asking for an output that the
    // layer left empty runs the layer again.
    const bool keep = settings.lightmode && layer.tops.size() > 1;
    if (keep)
        extractor.set_light_mode(false);
    const bool custom = (layer.typeindex & ncnn::LayerType::CustomBit) != 0 && !is_outside(line.type);
    // What works in place is given its input's memory, or a copy of it: there is nothing that it could leave
    // out.
    const bool in_place = settings.lightmode && layer.support_inplace;
    const WholeMarks whole(memory->guards() || !(custom || in_place || writes_all(line.type)));
    for (int top : layer.tops) {
        ncnn::Mat blob;
        const int code = extractor.extract(top, blob, 1); // 1: as it is, without unpacking
        if (code != 0) {
            Fault fault(Kind::layer, "the layer failed");
            throw fault.has("inputs " + text_of(inputs)).because(describe_code(code, *memory));
        }
        const std::string damage = memory->damage();
        if (!damage.empty())
            throw Fault(Kind::layer, "the layer wrote outside of its blobs").has(damage);
        if (blob.empty()) {
            shapes[(size_t)top] = Shape{};
            if (is_wanted[(size_t)top])
                results[top] = ncnn::Mat();
            continue;
        }
        shapes[(size_t)top] = Shape::of(blob);
        if (!sane(blob)) {
            Fault fault(Kind::layer, "the layer made a blob of an impossible shape");
            throw fault.has(shapes[(size_t)top].text() + " from inputs " + text_of(inputs));
        }
        check_written(blob);
        blob.release(); // a second owner would make the next layer copy it instead of working in place
        if (is_wanted[(size_t)top] && extractor.extract(top, results[top]) != 0)
            throw Fault(Kind::layer, "its output cannot be unpacked: out of memory");
    }
    if (!keep)
        return;
    extractor.set_light_mode(true);
    for (int bottom : layer.bottoms)
        extractor.input(bottom, ncnn::Mat());
}

// Seconds. Of one thread they are the processor's, of which other programs take nothing.
static double now(int threads)
{
#ifdef CLOCK_THREAD_CPUTIME_ID
    timespec time;
    if (threads == 1 && clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0)
        return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
#endif
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// On a GPU a stop after each layer would cost a transfer, so ncnn walks the graph by itself, and the checks
// between the layers are left out.
std::vector<ncnn::Mat> Net::run_whole(ncnn::Extractor& extractor, const std::vector<int>& wanted) const
{
    Capture capture;
    custom_layers::ErrorScope scope;
    extractor.set_light_mode(false); // a wanted blob may have consumers
    std::vector<ncnn::Mat> values(wanted.size());
    for (size_t i = 0; i < wanted.size(); i++) {
        const int code = extractor.extract(wanted[i], values[i]);
        if (code == 0)
            continue;
        std::string reason = scope.message().empty() ? capture.text() : scope.message();
        if (reason.empty())
            reason = describe_code(code, *memory);
        throw Fault(Kind::layer, "blob " + quoted(blob_names[(size_t)wanted[i]]) + " could not be computed")
            .at(param_name)
            .because(reason);
    }
    return values;
}

std::vector<ncnn::Mat> Net::run(const std::vector<std::pair<int, ncnn::Mat>>& given,
                                const std::vector<int>& wanted, Progress* progress,
                                std::vector<double>* seconds, std::vector<Shape>* made) const
{
    const FloatingPointMode mode;
    const ThreadCount threads(settings.threads);
    const Report report{progress};
    const std::vector<char> needed = needed_layers(wanted);
    std::vector<Shape> own;
    std::vector<Shape>& shapes = made ? *made : own;
    shapes.assign(blob_names.size(), Shape{});
    std::vector<char> is_wanted(blob_names.size(), 0);
    for (int number : wanted)
        is_wanted[(size_t)number] = 1;
    std::unordered_map<int, ncnn::Mat> results;

    ncnn::Extractor extractor = net->create_extractor();
    extractor.set_blob_allocator(memory.get());
    extractor.set_workspace_allocator(memory.get());
    for (const auto& [number, values] : given) {
        extractor.input(number, values);
        shapes[(size_t)number] = Shape::of(values);
        if (is_wanted[(size_t)number])
            results[number] = values;
    }
    for (const Input& input : input_list) {
        const size_t number = (size_t)blob(input.name);
        const int reader = net->blobs()[number].consumer;
        const bool read = is_wanted[number] || (reader >= 0 && needed[(size_t)reader]);
        if (read && shapes[number].dims == 0)
            throw Fault(Kind::input, "no value is given for input " + quoted(input.name)).at(param_name);
    }
    if (seconds)
        seconds->assign(lines.size(), 0.0);
    if (settings.vulkan)
        return run_whole(extractor, wanted);

    Capture capture;
    custom_layers::ErrorScope scope;
    for (size_t i = 0; i < lines.size(); i++) {
        if (!needed[i] || lines[i].type == "Input")
            continue;
        if (progress && progress->stop)
            throw Fault(Kind::layer, "the run was stopped").at(param_name);
        if (progress)
            progress->layer = (int)i;
        try {
            const double begin = seconds ? now(settings.threads) : 0;
            run_layer(extractor, i, is_wanted, shapes, results);
            if (seconds)
                (*seconds)[i] = now(settings.threads) - begin;
        } catch (Fault& fault) {
            std::string reason = scope.message().empty() ? capture.text() : scope.message();
            if (reason.empty())
                reason = fault.reason;
            throw fault.at(param_name, lines[i].line).in(lines[i].name, lines[i].type).because(reason);
        } catch (const std::exception& error) { // a container inside a layer that cannot grow
            Fault fault(Kind::layer, "the layer failed");
            throw fault.at(param_name, lines[i].line).in(lines[i].name, lines[i].type).because(error.what());
        }
    }
    std::vector<ncnn::Mat> values;
    for (int number : wanted)
        values.push_back(results[number]);
    return values;
}

} // namespace runtime
