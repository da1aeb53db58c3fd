#include "generator.h"

#include "child.h"

#include <runtime/src/fault.h>
#include <runtime/src/machine.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

using runtime::Fault;
using runtime::Kind;
using runtime::Net;
using runtime::Shape;

namespace stylegan
{

static runtime::Options options(bool fp16, bool bf16)
{
    runtime::Options options;
    options.threads = runtime::default_threads();
    options.memory_limit = runtime::memory_limit();
    options.fp16_arithmetic = fp16;
    options.bf16_arithmetic = bf16;
    return options;
}

static const Net::Input* find(const Net& net, const std::string& name)
{
    for (const Net::Input& input : net.inputs())
        if (input.name == name)
            return &input;
    return nullptr;
}

// Why an input that is none of ours is there, and what to do about it.
static Fault open_input(const std::string& name)
{
    Fault fault(Kind::input,
                "the net has the input " + runtime::quoted(name) + ", which nothing is given for");
    if (name == "c")
        return fault.because("the network has labels")
            .remedy("`python -m runtime.run class=N` draws pictures of such networks");
    if (name == "transform")
        return fault.because("it was exported with --transform-input")
            .remedy("Say rotate=, translate= or zoom=; zoom=1 leaves the picture as it is");
    if (name.compare(0, 5, "noise") == 0)
        return fault.because("its noise was left open")
            .remedy("Export it with --noise-mode const or none, or use `python -m runtime.run`");
    return fault;
}

// Raises a Fault unless the net's inputs are just `names`, and one of its blobs is the output.
static void check_inputs(const Net& net, const std::string& file, const char* kind,
                         const std::vector<std::string>& names)
{
    std::vector<std::string> found;
    for (const Net::Input& input : net.inputs())
        found.push_back(input.name);
    if (find(net, "coeff") && find(net, "c")) // labels, also where they are all: then there is no z
        throw open_input("c").at(file);
    for (const std::string& name : names)
        if (!find(net, name))
            throw Fault(Kind::input, std::string("not a ") + kind + " net")
                .at(file)
                .wants("the inputs " + runtime::join(names))
                .has(found.empty() ? "none" : runtime::join(found))
                .remedy("The mapping's two files come first, then the synthesis's");
    for (const std::string& name : found)
        if (std::find(names.begin(), names.end(), name) == names.end())
            throw open_input(name).at(file);
    net.blob("output");
}

// The length of a one-dimensional input, as the file declares it, has to be the number that was given. The
// predecessor's files declare none: what does not fit fails in the first layer that reads it.
static void check_length(const Net& net, const std::string& file, const char* input, const char* name,
                         int given)
{
    const std::optional<std::vector<int>>& shape = find(net, input)->shape;
    if (!shape)
        return;
    if (shape->size() != 1)
        throw Fault(Kind::input, "the input " + runtime::quoted(input) + " has more than one dimension")
            .at(file)
            .remedy("Export the network again");
    if (given != shape->front())
        throw Fault(Kind::input, std::string(name) + " is not this network's")
            .at(file)
            .wants(std::to_string(shape->front()))
            .has(std::to_string(given));
}

// Whether the net makes levels from 0 to 255 itself, as the predecessor's nets do.
static bool makes_levels(const Net& net)
{
    for (const runtime::LayerLine& line : net.layers())
        if (std::find(line.tops.begin(), line.tops.end(), "output") != line.tops.end())
            return line.type == "StyleganPost";
    return false;
}

Generator::Generator(const Files& files, int z_dim, int num_ws, std::vector<float> turned, bool fp16,
                     bool bf16)
    : num_ws(num_ws), transform(std::move(turned)), mapping_file(files.mapping_param),
      synthesis_file(files.synthesis_param),
      mapping(files.mapping_param, files.mapping_bin, options(fp16, bf16)),
      synthesis(files.synthesis_param, files.synthesis_bin, options(fp16, bf16))
{
    check_inputs(mapping, mapping_file, "mapping", {"z", "coeff"});
    std::vector<std::string> names = {"ws0", "ws1", "mixing"};
    if (!transform.empty()) {
        if (!find(synthesis, "transform") && find(synthesis, "ws0"))
            throw Fault(Kind::option,
                        "rotate=, translate= and zoom= need the input 'transform', which the net has not")
                .at(synthesis_file)
                .remedy("Export StyleGAN3 with --transform-input");
        names.push_back("transform");
    }
    check_inputs(synthesis, synthesis_file, "synthesis", names);
    check_length(mapping, mapping_file, "z", "Z_DIM", z_dim);
    check_length(mapping, mapping_file, "coeff", "the length of the input 'coeff'", 1);
    check_length(synthesis, synthesis_file, "mixing", "NUM_WS", num_ws);
}

static ncnn::Mat vector_of(const std::vector<float>& values)
{
    ncnn::Mat m((int)values.size());
    if (m.empty())
        throw std::bad_alloc();
    memcpy(m.data, values.data(), values.size() * sizeof(float));
    return m;
}

// The net's output, float32 of `dims` dimensions.
static ncnn::Mat run(const Net& net, const std::string& file,
                     const std::vector<std::pair<const char*, ncnn::Mat>>& inputs, int dims,
                     runtime::Progress& progress)
{
    std::vector<std::pair<int, ncnn::Mat>> given;
    for (const auto& [name, values] : inputs)
        given.emplace_back(net.blob(name), values);
    ncnn::Mat output = net.run(given, {net.blob("output")}, &progress)[0];
    if (output.dims != dims || output.elembits() != 32 || output.elempack != 1)
        throw Fault(Kind::blob, "the net's output is of another kind")
            .at(file)
            .wants("float32 of " + std::to_string(dims) + (dims == 1 ? " dimension" : " dimensions"))
            .has(Shape::of(output).text());
    return output;
}

Style Generator::style(const std::vector<float>& z, float psi) const
{
    const std::vector<std::string>& unused = mapping.outputs();
    if (psi != 1 && std::find(unused.begin(), unused.end(), "coeff") != unused.end())
        throw Fault(Kind::input, "this network keeps no w_avg, so there is no truncation")
            .at(mapping_file)
            .wants("TRUNC 1");
    const ncnn::Mat w =
        run(mapping, mapping_file, {{"z", vector_of(z)}, {"coeff", vector_of({psi})}}, 1, watched().mapping);
    const float* values = w;
    for (int i = 0; i < w.w; i++)
        if (!std::isfinite(values[i]))
            throw Fault(Kind::input,
                        "the style is not finite: the seed or TRUNC lies far outside what the network knows")
                .at(mapping_file);
    return {std::vector<float>(values, values + w.w)};
}

// The style as the input takes it: repeated where that is [num_ws, w_dim], as of the target stock.
ncnn::Mat Generator::rows(const char* input, const Style& w) const
{
    const std::optional<std::vector<int>>& shape = find(synthesis, input)->shape;
    if (w.rows == 1 && (!shape || shape->size() == 1))
        return vector_of(w.values);
    const size_t length = w.values.size() / (size_t)w.rows;
    ncnn::Mat all((int)length, num_ws);
    if (all.empty())
        throw std::bad_alloc();
    for (int i = 0; i < num_ws; i++)
        memcpy(all.row(i), w.values.data() + (w.rows == 1 ? 0 : i * length), length * sizeof(float));
    if (shape && *shape != Shape::of(all).sizes())
        throw Fault(Kind::input, "the mapping's styles do not fit the input " + runtime::quoted(input))
            .at(synthesis_file)
            .has(Shape::of(all).text())
            .remedy("Is it the synthesis net of another network?");
    return all;
}

std::vector<std::pair<const char*, ncnn::Mat>> Generator::inputs(const Style& w0, const Style& w1,
                                                                 const std::vector<float>& mixing) const
{
    std::vector<std::pair<const char*, ncnn::Mat>> given = {
        {"ws0", rows("ws0", w0)}, {"ws1", rows("ws1", w1)}, {"mixing", vector_of(mixing)}};
    if (!transform.empty()) {
        given.emplace_back("transform", ncnn::Mat(3, 3));
        if (given.back().second.empty())
            throw std::bad_alloc();
        for (int i = 0; i < 3; i++)
            memcpy(given.back().second.row(i), transform.data() + 3 * i, 3 * sizeof(float));
    }
    return given;
}

// "synthesis.b4.conv1.affine/Fmatmul_2" -> "synthesis.b4.conv1.affine", the module that made the layer.
static std::string module_of(const runtime::LayerLine& line)
{
    return line.name.substr(0, line.name.rfind('/') == std::string::npos ? 0 : line.name.rfind('/'));
}

std::vector<std::vector<float>> Generator::affine_outputs(const Style& ws) const
{
    const std::string affine = ".affine";
    std::map<std::string, int> blobs; // of each module the last one
    for (const runtime::LayerLine& line : synthesis.layers()) {
        const std::string module = module_of(line);
        const bool named = module.size() > affine.size() &&
                           module.compare(module.size() - affine.size(), affine.size(), affine) == 0;
        if (named && line.type != "Split" && !line.tops.empty())
            blobs[module] = synthesis.blob(line.tops.front());
    }
    if (blobs.empty())
        throw Fault(Kind::input, "the net does not say which blobs its affine layers make")
            .at(synthesis_file);
    std::vector<int> wanted;
    for (const auto& [module, blob] : blobs)
        wanted.push_back(blob);
    std::vector<std::pair<int, ncnn::Mat>> given;
    for (const auto& [name, values] : inputs(ws, ws, std::vector<float>((size_t)num_ws, 0.f)))
        given.emplace_back(synthesis.blob(name), values);
    std::vector<std::vector<float>> found;
    for (const ncnn::Mat& made : synthesis.run(given, wanted, &watched().synthesis)) {
        if (made.elembits() != 32 || made.elempack != 1)
            throw Fault(Kind::blob, "an affine layer's output is no float32").at(synthesis_file);
        found.emplace_back();
        for (int c = 0; c < made.c; c++) {
            const float* values = made.channel(c);
            found.back().insert(found.back().end(), values, values + (size_t)made.w * made.h * made.d);
        }
    }
    return found;
}

Picture Generator::picture(const Style& w0, const Style& w1, const std::vector<float>& mixing) const
{
    const ncnn::Mat output = run(synthesis, synthesis_file, inputs(w0, w1, mixing), 3, watched().synthesis);
    Picture picture{output.w, output.h, output.c,
                    std::vector<unsigned char>((size_t)output.w * output.h * output.c)};
    const bool levels = makes_levels(synthesis);
    const size_t pixels = (size_t)output.w * output.h, channels = (size_t)output.c;
    for (size_t c = 0; c < channels; c++) {
        const float* values = output.channel((int)c);
        for (size_t i = 0; i < pixels; i++) {
            if (!std::isfinite(values[i]))
                throw Fault(Kind::input,
                            "the picture is not finite: its style lies far outside what the network knows")
                    .at(synthesis_file);
            const float level = levels ? values[i] : values[i] * 127.5f + 128.f;
            picture.values[i * channels + c] = (unsigned char)std::clamp(level, 0.f, 255.f);
        }
    }
    return picture;
}

Picture Generator::picture(const Style& w) const
{
    return picture(w, w, std::vector<float>((size_t)num_ws, 0.f));
}

} // namespace stylegan
