// A .bin file walked as ncnn reads it, layer by layer, tags and lengths only: what is amiss is known, and
// where, before anything of a size that a file says is allocated, and before a layer makes its kernels from
// it.
#include "checks.h"

#include <fstream>
#include <modelbin.h>
#include <unordered_map>

namespace runtime
{

namespace
{

// Before a tagged weight (src/modelbin.cpp).
constexpr uint32_t half_tag = 0x01306B47, bf16_tag = 0x01348B83, int8_tag = 0x000D4B38, raw_tag = 0x0002C056;

size_t aligned(size_t size) { return (size + 3) / 4 * 4; }

class Walk : public ncnn::ModelBin
{
public:
    explicit Walk(const std::filesystem::path& path)
        : stream(path, std::ios::binary), size((size_t)std::filesystem::file_size(path))
    {
    }

    void begin(const LayerLine& layer)
    {
        line = &layer;
        tagged = 0;
    }

    using ncnn::ModelBin::load;
    ncnn::Mat load(int w, int type) const override;

private:
    void skip(size_t bytes) const;
    uint32_t tag() const;
    uint32_t word(size_t at) const;
    bool takes_int8() const;

    mutable std::ifstream stream;
    size_t size;
    mutable size_t position = 0;
    const LayerLine* line = nullptr;
    mutable int tagged = 0; // weights with a tag, of this layer, before this one
};

} // namespace

void Walk::skip(size_t bytes) const
{
    if (bytes > size - position)
        throw Fault(Kind::weights, "the file is too short")
            .wants(byte_count(bytes) + " at offset " + std::to_string(position))
            .has("a file of " + byte_count(size))
            .remedy("It is truncated, or belongs to another .param");
    position += bytes;
}

uint32_t Walk::tag() const
{
    skip(4);
    return word(position - 4);
}

uint32_t Walk::word(size_t at) const
{
    unsigned char bytes[4];
    stream.seekg((std::streamoff)at);
    if (!stream.read((char*)bytes, 4))
        throw Fault(Kind::weights, "the file cannot be read");
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

// A layer that was not told that its weights are int8 takes their bytes for floats, and reads four times as
// many.
bool Walk::takes_int8() const
{
    const LayerLine& l = *line;
    static const std::unordered_map<std::string, int> term = {{"Convolution", 8},
                                                              {"ConvolutionDepthWise", 8},
                                                              {"InnerProduct", 8},
                                                              {"LSTM", 8},
                                                              {"GRU", 8},
                                                              {"RNN", 8},
                                                              {"Embed", 18},
                                                              {"Gemm", 18},
                                                              {"MultiHeadAttention", 18}};
    const auto found = term.find(l.type);
    if (l.type == "MemoryData")
        return true; // a blob of int8, which only what takes int8 gets
    if (found == term.end() || l.integer(found->second, 0) == 0)
        return false;
    if (l.type == "LSTM" || l.type == "GRU" || l.type == "RNN")
        return tagged == 0 || tagged == 2; // of inputs and of states; biases and projections are floats
    if (l.type == "Gemm")
        return tagged < (l.integer(4, 0) != 0) + (l.integer(5, 0) != 0); // A and B, not C
    return l.type == "MultiHeadAttention" || tagged == 0;
}

// A weight of the size that ncnn would give it. Its values are not read: nothing looks at them before they
// are loaded once more, for good.
ncnn::Mat Walk::load(int w, int type) const
{
    const size_t count = (size_t)w;
    ncnn::Mat weight;
    if (w < 1)
        return weight; // the layer says that it has no weight
    size_t value = sizeof(float);
    if (type == 0) {
        const uint32_t found = tag();
        value = found == int8_tag ? 1 : sizeof(float);
        if (found == int8_tag && !takes_int8())
            throw Fault(Kind::weights, "a weight is int8, and the layer has no scales for it")
                .wants("float32 or float16, or a parameter that says so")
                .has("tag 0x000D4B38 at offset " + std::to_string(position - 4));
        if (found == half_tag || found == bf16_tag)
            skip(aligned(2 * count));
        else if (found == int8_tag)
            skip(aligned(count));
        else if (found == raw_tag || found == 0)
            skip(4 * count);
        else { // a table of 256 values, and a byte for each weight
            skip(256 * sizeof(float));
            skip(aligned(count));
        }
        tagged++;
    } else if (type == 1) {
        skip(4 * count);
    } else { // packed in bytes by ncnn's own tools
        value = 1;
        if (count >= 4 && size - position >= count && word(position) == int8_tag)
            throw Fault(Kind::weights, "weights of few bits stand behind a tag, which ncnn takes for weights")
                .wants("no tag")
                .has("tag 0x000D4B38 at offset " + std::to_string(position))
                .remedy(
                    "ncnnllm2int wrote it so until 2026-07; ncnn_builder.save(ncnn_builder.load(PARAM, BIN), "
                    "..., target=\"stock\") leaves it out");
        skip(aligned(count));
    }
    weight.create(w, value);
    return weight;
}

void check_weights(const std::vector<LayerLine>& lines, const std::vector<ncnn::Layer*>& layers,
                   const std::filesystem::path& path)
{
    Walk walk(path);
    for (size_t i = 0; i < lines.size(); i++) {
        walk.begin(lines[i]);
        try {
            if (layers[i]->load_model(walk) != 0)
                throw Fault(Kind::weights, "the layer refuses its weights");
        } catch (Fault& fault) {
            throw fault.in(lines[i].name, lines[i].type);
        }
    }
}

} // namespace runtime
