#include "net.h"

#include "check.h"

#include <custom_layers/error.h>
#include <custom_layers/register_all.h>

#include <datareader.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>

std::string Mode::name() const
{
    return text("threads=%d packing=%d lightmode=%d", threads, packing, lightmode);
}

const std::vector<Mode>& all_modes()
{
    static const std::vector<Mode> modes = {{1, false, true}, {2, false, true},  {1, true, true},
                                            {2, true, true},  {1, false, false}, {2, true, false}};
    return modes;
}

namespace
{
// ncnn's own allocator leaves room behind each block, which would hide a write beyond the end from a
// sanitizer.
class ExactAllocator : public ncnn::Allocator
{
public:
    void* fastMalloc(size_t size) override
    {
        void* block = nullptr;
        return posix_memalign(&block, 64, size) == 0 ? block : nullptr;
    }

    void fastFree(void* block) override { free(block); }
};

// Reads from memory within its bounds; with `by_reference`, without a copy.
class Reader : public ncnn::DataReader
{
public:
    Reader(const std::vector<float>& values, bool by_reference)
        : begin_((const unsigned char*)values.data()), left_(values.size() * sizeof(float)),
          by_reference_(by_reference)
    {
    }

    size_t read(void* to, size_t size) const override
    {
        const size_t count = std::min(size, left_);
        if (count)
            memcpy(to, begin_, count);
        begin_ += count;
        left_ -= count;
        return count;
    }

    size_t reference(size_t size, const void** to) const override
    {
        if (!by_reference_ || size > left_)
            return 0;
        *to = begin_;
        begin_ += size;
        left_ -= size;
        return size;
    }

private:
    mutable const unsigned char* begin_;
    mutable size_t left_;
    bool by_reference_;
};
} // namespace

ncnn::Option option_of(const Mode& mode)
{
    ncnn::Option opt;
    opt.num_threads = mode.threads;
    opt.use_packing_layout = mode.packing;
    opt.lightmode = mode.lightmode;
    opt.use_fp16_packed = opt.use_fp16_storage = opt.use_fp16_arithmetic = false;
    opt.use_vulkan_compute = false;
    return opt;
}

Outcome run_net(const std::string& param, const std::vector<float>& weights,
                const std::vector<ncnn::Mat>& inputs, int outputs, const Mode& mode, bool stream)
{
    Outcome outcome;
    custom_layers::ErrorScope scope;
    ExactAllocator allocator;
    ncnn::Net net;
    net.opt = option_of(mode);
    net.opt.blob_allocator = &allocator;
    net.opt.workspace_allocator = &allocator;
    outcome.status = custom_layers::register_all(net);

    const int lines = (int)inputs.size() + (int)std::count(param.begin(), param.end(), '\n');
    std::string whole = text("7767517\n%d %d\n", lines, 100);
    for (size_t i = 0; i < inputs.size(); i++)
        whole += text("Input in%zu 0 1 in%zu\n", i, i);
    whole += param;
    if (outcome.status == 0)
        outcome.status = net.load_param_mem(whole.c_str());
    if (outcome.status == 0)
        outcome.status = net.load_model(Reader(weights, !stream));
    if (outcome.status == 0) {
        ncnn::Extractor extractor = net.create_extractor();
        for (size_t i = 0; i < inputs.size(); i++)
            extractor.input(text("in%zu", i).c_str(), inputs[i].clone());
        for (int i = 0; i < outputs && outcome.status == 0; i++) {
            ncnn::Mat blob;
            outcome.status = extractor.extract(text("out%d", i).c_str(), blob);
            if (outcome.status == 0)
                outcome.outputs.push_back(blob.clone()); // the net does not outlive this function
        }
    }
    outcome.error = scope.message();
    return outcome;
}

std::string layer_text(const std::string& type, const std::string& params, int inputs, int outputs)
{
    std::string line = text("%s under_test %d %d", type.c_str(), inputs, outputs);
    for (int i = 0; i < inputs; i++)
        line += text(" in%d", i);
    for (int i = 0; i < outputs; i++)
        line += text(" out%d", i);
    return line + " " + params + "\n";
}

Outcome run_layer(const std::string& type, const std::string& params, const std::vector<ncnn::Mat>& inputs,
                  const Mode& mode, int outputs, const std::vector<float>& weights)
{
    return run_net(layer_text(type, params, (int)inputs.size(), outputs), weights, inputs, outputs, mode);
}

std::string num(float value) { return text("%.8e", value); }

ncnn::Mat zeros(const std::vector<int>& s)
{
    ncnn::Mat m;
    if (s.size() == 1)
        m.create(s[0]);
    else if (s.size() == 2)
        m.create(s[1], s[0]);
    else if (s.size() == 3)
        m.create(s[2], s[1], s[0]);
    else
        m.create(s[3], s[2], s[1], s[0]);
    memset(m.data, 0, m.total() * m.elemsize);
    return m;
}

ncnn::Mat random_mat(const std::vector<int>& shape, unsigned seed, float low, float high)
{
    ncnn::Mat m = zeros(shape);
    unsigned state = seed * 2654435761u + 12345u;
    for (int c = 0; c < m.c; c++) {
        float* values = (float*)m.data + m.cstep * c;
        for (int i = 0; i < m.w * m.h * m.d; i++) {
            state = state * 1664525u + 1013904223u;
            values[i] = low + (high - low) * (float)(state >> 8) / 16777216.f;
        }
    }
    return m;
}

std::vector<float> values_of(const ncnn::Mat& m)
{
    std::vector<float> values;
    for (int c = 0; c < m.c; c++) {
        const float* from = (const float*)m.data + m.cstep * c;
        values.insert(values.end(), from, from + (size_t)m.w * m.h * m.d);
    }
    return values;
}

ncnn::Mat mat_of(const std::vector<int>& shape, const std::vector<float>& values)
{
    ncnn::Mat m = zeros(shape);
    const size_t size = (size_t)m.w * m.h * m.d;
    for (int c = 0; c < m.c; c++)
        memcpy((float*)m.data + m.cstep * c, values.data() + size * c, size * sizeof(float));
    return m;
}

std::vector<int> shape_of(const ncnn::Mat& m)
{
    if (m.dims == 1)
        return {m.w};
    if (m.dims == 2)
        return {m.h, m.w};
    if (m.dims == 3)
        return {m.c, m.h, m.w};
    return {m.c, m.d, m.h, m.w};
}
