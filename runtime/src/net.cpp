#include "net.h"

#include "capture.h"
#include "fault.h"
#include "machine.h"
#include "outside.h"
#include "predecessor.h"
#include "readers.h"

#include <custom_layers/error.h>
#include <custom_layers/register_all.h>

#include <modelbin.h>

#include <algorithm>
#if NCNN_VULKAN
#include <gpu.h>
#endif

namespace runtime
{

std::unique_ptr<ncnn::Net> make_net(const Options& options)
{
    auto net = std::make_unique<ncnn::Net>();
    ncnn::Option& opt = net->opt;
    opt.num_threads = options.threads;
    opt.lightmode = options.lightmode;
    opt.use_fp16_storage = options.fp16_storage;
    opt.use_fp16_packed = options.fp16_packed;
    opt.use_fp16_arithmetic = options.fp16_arithmetic;
    opt.use_bf16_storage = options.bf16_storage;
    opt.use_bf16_packed = options.bf16_storage || options.bf16_arithmetic;
    opt.use_winograd_convolution = options.winograd;
    opt.use_sgemm_convolution = options.sgemm;
    opt.use_packing_layout = options.packing;
    opt.use_vulkan_compute = options.vulkan;
    opt.use_local_pool_allocator = false; // our own pool serves, and outlives the net
    if (custom_layers::register_all(*net) != 0 || register_outside(*net) != 0)
        throw Fault(Kind::option, "the custom layers could not be registered");
    return net;
}

static void check_options(const Options& options)
{
    if (options.threads < 1 || options.threads > 1024)
        throw Fault(Kind::option, "a bad number of threads")
            .wants("1 to 1024")
            .has(std::to_string(options.threads));
#if NCNN_VULKAN
    const Capture silence;
    if (options.vulkan && ncnn::get_gpu_count() == 0)
        throw Fault(Kind::option, "vulkan=True, but no Vulkan device was found");
#else
    if (options.vulkan)
        throw Fault(Kind::option, "vulkan=True, but ncnn was built without Vulkan")
            .remedy("install again with -C cmake.define.NCNN_BUILDER_VULKAN=ON");
#endif
#if !NCNN_BF16
    if (options.bf16_storage)
        throw Fault(Kind::option, "bf16_storage=True, but ncnn was built without bf16")
            .remedy("install again with -C cmake.define.NCNN_BUILDER_BF16=ON");
#endif
}

// Raises a Fault (param) if the layer of this line cannot be made.
static void check_layer(ncnn::Net& net, const Options& options, const LayerLine& line)
{
    // ncnn's convert_layout() hands such a layer 16-bit blobs that it takes for float32 (src/net.cpp).
    const int mask = line.integer(31, 0), bf16 = 1 << 2;
    if (options.bf16_storage && (mask & bf16))
        throw Fault(Kind::param, "its feature mask switches bf16 off, and the net is loaded with it")
            .wants("a mask without " + std::to_string(bf16) + ", or bf16_storage=False")
            .has("31=" + std::to_string(mask));
    if (is_outside(line.type))
        return; // what its parameters may be, the layer itself says
    if (net.custom_layer_to_index(line.type.c_str()) >= 0)
        return check_params(line);
    const std::unique_ptr<ncnn::Layer> layer(ncnn::create_layer_cpu(line.type.c_str()));
    if (!layer)
        throw Fault(Kind::param, "unknown layer type: neither ncnn " NCNN_VERSION_STRING
                                 " nor the custom layers have " +
                                     quoted(line.type))
            .remedy("A layer of your own has to be made known first: runtime.add_layers(library)");
    const std::string reason = bad_arity(line);
    if (!reason.empty())
        throw Fault(Kind::param, reason);
    check_limits(line);
}

static std::vector<std::string> split_rows(const std::string& text)
{
    std::vector<std::string> rows;
    for (size_t i = 0; i <= text.size();) {
        const size_t end = std::min(text.find_first_of("\r\n", i), text.size());
        rows.push_back(text.substr(i, end - i));
        i = end + (text.compare(end, 2, "\r\n") == 0 ? 2 : 1);
    }
    return rows;
}

// The text with one name for all blobs, a row for each layer. ncnn looks every name up among all blobs, one
// after the other: minutes for a million layers. This name it finds at the first, and each output is a blob
// of its own all the same; Net::load_text() tells it afterwards which is which.
static std::string with_one_name(const std::string& text, const std::vector<LayerLine>& lines)
{
    const std::vector<std::string> rows = split_rows(text);
    std::string all;
    size_t blobs = 0;
    for (const LayerLine& line : lines) {
        const std::string& row = rows[(size_t)line.line - 1];
        const size_t inputs = line.bottoms.size(), outputs = line.tops.size();
        size_t tail = 0;
        for (size_t word = 0; word < 4 + inputs + outputs; word++) {
            tail = std::min(row.find_first_not_of(" \t\v\f", tail), row.size());
            tail = std::min(row.find_first_of(" \t\v\f", tail), row.size());
        }
        all += line.type + " " + line.name + " " + std::to_string(inputs) + " " + std::to_string(outputs);
        for (size_t i = 0; i < inputs + outputs; i++)
            all += " blob";
        all += row.substr(tail) + "\n";
        blobs += outputs;
    }
    return "7767517\n" + std::to_string(lines.size()) + " " + std::to_string(blobs) + "\n" + all;
}

Net::Net(const std::filesystem::path& param, const std::filesystem::path& bin, const Options& options)
    : param_name(param.u8string()), bin_name(bin.u8string()), bin_path(bin), settings(options),
      memory(make_pool(options.memory_limit, options.guard))
{
    check_options(options);
    const size_t size = checked_size(param, false);
    if (size > (size_t)256 << 20)
        throw Fault(Kind::param, "too large for a .param file").at(param_name).has(byte_count(size));
    std::string text(size, '\0');
    std::ifstream stream(param, std::ios::binary);
    stream.read(&text[0], (std::streamsize)size);
    text.resize((size_t)stream.gcount());
    checked_size(bin, true);

    const ThreadCount threads(settings.threads);
    net = make_net(settings);
    lines =
        parse_param(text, param_name, [this](const LayerLine& line) { check_layer(*net, settings, line); });
    text = as_today(text, lines);
    if (!settings.vulkan)
        text = with_one_name(text, lines);
    load_param(text);
    describe();
    load_weights();
}

Net::~Net()
{
    net.reset();
    memory->trim(); // arrays that were handed out keep the pool, and need not keep the rest of its memory
}

// ncnn reads the text; afterwards the blobs have their names and the layers their wires. `offset` is where it
// stopped.
bool Net::load_text(ncnn::Net& into, const std::string& text, size_t* offset) const
{
    const TextReader reader(text);
    const int code = into.load_param(reader);
    *offset = reader.offset();
    if (code != 0 || into.layers().size() != lines.size())
        return false;
    if (settings.vulkan)
        return true;
    std::vector<ncnn::Blob>& blobs = into.mutable_blobs();
    for (ncnn::Blob& blob : blobs)
        blob.consumer = -1;
    std::unordered_map<std::string, int> numbers;
    for (size_t i = 0; i < lines.size(); i++) {
        ncnn::Layer& layer = *into.mutable_layers()[i];
        for (size_t j = 0; j < layer.bottoms.size(); j++) {
            const int number = numbers.at(lines[i].bottoms[j]);
            layer.bottoms[j] = number;
            layer.bottom_shapes[j] = blobs[(size_t)number].shape;
            blobs[(size_t)number].consumer = (int)i;
        }
        for (size_t j = 0; j < layer.tops.size(); j++) {
            blobs[(size_t)layer.tops[j]].name = lines[i].tops[j];
            numbers.emplace(lines[i].tops[j], layer.tops[j]);
        }
    }
    return true;
}

void Net::load_param(const std::string& text)
{
    Capture capture;
    custom_layers::ErrorScope scope;
    size_t offset = 0;
    if (!load_text(*net, text, &offset))
        throw refused_line(text, offset, scope.message().empty() ? capture.text() : scope.message());
    for (size_t i = 0; i < lines.size(); i++) {
        const std::string reason = bad_wiring(*net->layers()[i]);
        if (!reason.empty())
            throw Fault(Kind::param, reason).at(param_name, lines[i].line).in(lines[i].name, lines[i].type);
    }
}

// The layer that refused its parameters: the one before the place where ncnn stopped. What it has to say of
// itself it says alone.
Fault Net::refused_line(const std::string& text, size_t offset, const std::string& reason) const
{
    while (offset > 0 && isspace((unsigned char)text[offset - 1]))
        offset--;
    const size_t row = (size_t)std::count(text.begin(), text.begin() + (std::ptrdiff_t)offset, '\n');
    for (const LayerLine& line : lines) {
        if ((settings.vulkan ? (size_t)line.line - 1 : (size_t)(&line - lines.data()) + 2) != row)
            continue;
        std::string one = "7767517\n" + std::to_string(line.bottoms.size() + 1) + " " +
                          std::to_string(line.bottoms.size() + line.tops.size() + 1) + "\n";
        for (size_t i = 0; i < line.bottoms.size(); i++)
            one += "Input input" + std::to_string(i) + " 0 1 " +
                   (settings.vulkan ? line.bottoms[i] : "blob") + "\n";
        one += split_rows(text)[row] + "\n";
        Capture capture;
        custom_layers::ErrorScope scope;
        if (make_net(settings)->load_param(TextReader(one)) == 0)
            break;
        return Fault(Kind::param, "ncnn refuses the parameters of this layer")
            .at(param_name, line.line)
            .in(line.name, line.type)
            .because(scope.message().empty() ? capture.text() : scope.message());
    }
    return Fault(Kind::param, "ncnn refuses the file").at(param_name).because(reason);
}

void Net::describe()
{
    const std::vector<ncnn::Blob>& blobs = net->blobs();
    for (size_t i = 0; i < blobs.size() && !blobs[i].name.empty(); i++) { // a file may state more than it has
        blob_names.push_back(blobs[i].name);
        blob_numbers.emplace(blobs[i].name, (int)i);
        if (blobs[i].consumer < 0)
            output_list.push_back(blobs[i].name);
    }
    for (size_t i = 0; i < lines.size(); i++) {
        const LayerLine& line = lines[i];
        const bool custom = net->custom_layer_to_index(line.type.c_str()) >= 0;
        checks.push_back(custom ? Check{} : find_check(line.type));
        if (line.type != "Input")
            continue;
        const int w = line.integer(0, 0), h = line.integer(1, 0), d = line.integer(11, 0),
                  c = line.integer(2, 0);
        std::vector<int> shape;
        for (int size : {c, d, h, w})
            if (size > 0)
                shape.push_back(size);
        for (const std::string& name : line.tops) { // one line may name several inputs of the net
            Input input;
            input.name = name;
            if (!shape.empty() && !settings.any_shape)
                input.shape = shape;
            input.index = read_as_whole(name);
            input_list.push_back(input);
        }
    }
}

bool Net::read_as_whole(const std::string& name) const
{
    const int reader = net->blobs()[(size_t)blob(name)].consumer;
    if (reader < 0)
        return false;
    const LayerLine& line = lines[(size_t)reader];
    if (line.type != "Split")
        return line.type == "Embed" || line.type == "Dequantize" || line.type == "Requantize";
    return std::any_of(line.tops.begin(), line.tops.end(),
                       [this](const std::string& top) { return read_as_whole(top); });
}

const Net::Input& Net::input(const std::string& name) const
{
    std::vector<std::string> names;
    for (const Input& input : input_list) {
        if (input.name == name)
            return input;
        names.push_back(input.name);
    }
    throw Fault(Kind::input, "the net has no input " + quoted(name))
        .wants(names.empty() ? "no inputs" : join(names));
}

int Net::blob(const std::string& name) const
{
    const auto found = blob_numbers.find(name);
    if (found != blob_numbers.end())
        return found->second;
    Fault fault(Kind::blob, "no blob is called " + quoted(name));
    const std::vector<std::string> near = nearest(name, blob_names);
    std::vector<std::string> names;
    for (const Input& input : input_list)
        names.push_back(input.name);
    const std::string known = "inputs: " + join(names) + "; outputs: " + join(output_list);
    throw fault.at(param_name)
        .wants(known)
        .remedy(near.empty() ? "" : "Did you mean " + join(near, " or ") + "?");
}

void Net::load_weights()
{
    WeightReader reader(bin_path);
    Capture capture;
    custom_layers::ErrorScope scope;
    try {
        check_weights(lines, net->layers(), bin_path);
    } catch (Fault& fault) {
        if (fault.reason.empty())
            fault.because(scope.message().empty() ? capture.text() : scope.message());
        throw fault.at(bin_name);
    }
    int code = -1;
    try {
        code = net->load_model(reader);
    } catch (const ShortRead&) {
        code = -1; // the file shrank while it was read
    }
    if (code == 0 && reader.offset() == reader.size()) {
        give_back_heap(reader.size());
        return;
    }
    if (code == 0)
        throw Fault(Kind::weights, "no layer reads the " + byte_count(reader.size() - reader.offset()) +
                                       " at the end of the file")
            .at(bin_name)
            .wants(byte_count(reader.offset()))
            .has(byte_count(reader.size()))
            .remedy("Is it the .bin of another .param?");

    Fault fault(Kind::weights, "the weights could not be loaded");
    throw fault.at(bin_name).because(scope.message().empty() ? capture.text() : scope.message());
}

} // namespace runtime
