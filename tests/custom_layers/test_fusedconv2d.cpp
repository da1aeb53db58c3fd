// FusedConv2d in a net, in every mode, against the oracle of conv_oracle.h.
#include "check.h"
#include "conv_oracle.h"
#include "net.h"

#include <cmath>
#include <string.h>

namespace
{
struct Layer {
    ConvCase c;
    int hint = 0; // height and width that the file says
    float scale = 1.f;
    bool bias = true;
    bool half = false; // weights as float16
};
} // namespace

static std::string params_of(const Layer& l)
{
    const ConvCase& c = l.c;
    return text("0=%d 1=%d 2=%d 3=%d 4=%d 5=%d 6=%d 7=%d 8=%d 9=%d 10=%d 11=%s 12=%d 13=%s 14=%d", c.outputs,
                c.inputs, c.kernel_h, c.kernel_w, c.padding, c.padding + c.more_below, c.padding,
                c.padding + c.more_right, l.hint, l.hint, l.bias ? c.outputs : 0, num(l.scale).c_str(),
                c.residual, num(c.slopes ? 1.f : c.negative).c_str(), c.slopes ? c.outputs : 0);
}

// What the file holds; `data` becomes what the oracle makes of it.
static std::vector<float> model_of(const Layer& l, ConvData& data)
{
    std::vector<float> file = {0.f};
    if (l.half) {
        const unsigned tag = 0x01306B47;
        memcpy(file.data(), &tag, sizeof(tag));
        std::vector<unsigned short> halves;
        for (float& v : data.weights) {
            halves.push_back(ncnn::float32_to_float16(v));
            v = ncnn::float16_to_float32(halves.back());
        }
        halves.resize((halves.size() + 1) / 2 * 2);
        file.resize(1 + halves.size() / 2);
        memcpy(&file[1], halves.data(), halves.size() * sizeof(short));
    } else {
        file.insert(file.end(), data.weights.begin(), data.weights.end());
    }
    if (l.bias)
        file.insert(file.end(), data.bias.begin(), data.bias.end());
    else
        data.bias.assign(data.bias.size(), 0.f);
    for (float& b : data.bias)
        b *= l.scale;
    data.scale_out.assign(data.scale_out.size(), l.scale);
    file.insert(file.end(), data.slopes.begin(), data.slopes.end());
    return file;
}

static std::vector<ncnn::Mat> inputs_of(const ConvCase& c, const ConvData& data)
{
    std::vector<ncnn::Mat> inputs;
    const float* values = data.x.data();
    for (int channels : c.parts.empty() ? std::vector<int>{c.inputs} : c.parts) {
        const size_t count = (size_t)channels * c.height * c.width;
        inputs.push_back(mat_of({channels, c.height, c.width}, std::vector<float>(values, values + count)));
        values += count;
    }
    if (c.residual)
        inputs.push_back(mat_of({c.outputs, c.out_h(), c.out_w()}, data.residual));
    return inputs;
}

TEST(fusedconv2d, sweep)
{
    unsigned seed = 1;
    for (ConvCase c : {ConvCase(5, 4, 6, 7), ConvCase(1, 1, 1, 1, 1, 0), ConvCase(16, 32, 9, 14, 1, 0),
                       ConvCase(37, 24, 20, 21), ConvCase(8, 20, 5, 5, 5, 3), ConvCase(48, 16, 31, 9)}) {
        for (int round = 0; round < 4; round++, seed++) {
            Layer l;
            l.c = c;
            l.c.scaled = false;
            l.c.residual = round % 2 == 1;
            l.c.slopes = round == 3;
            l.c.negative = round == 0 ? 0.f : round == 1 ? 1.f : 0.2f;
            l.c.more_below = (int)seed % 2;
            l.c.more_right = (int)seed % 3;
            if (c.inputs > 32)
                l.c.parts =
                    round % 2 ? std::vector<int>{16, c.inputs - 16} : std::vector<int>{16, 16, c.inputs - 32};
            l.hint = round == 1 ? 0 : round == 2 ? 200 : c.height;
            if (c.kernel_h == 5)
                l.hint = 0;
            l.scale = round >= 2 ? -0.3f : 1.f;
            l.bias = seed % 3 != 0;
            l.half = seed % 2 == 0;
            ConvData data(l.c, 10 * seed);
            const std::vector<float> file = model_of(l, data);
            const ncnn::Mat want = conv_oracle(l.c, data);
            const std::vector<ncnn::Mat> inputs = inputs_of(l.c, data);
            const std::string params = params_of(l);
            for (const Mode& mode : all_modes()) {
                for (bool stream : {false, true}) {
                    const Outcome got = run_net(layer_text("FusedConv2d", params, (int)inputs.size(), 1),
                                                file, inputs, 1, mode, stream);
                    const std::string what = text("FusedConv2d %s half=%d %s stream=%d", params.c_str(),
                                                  l.half, mode.name().c_str(), stream);
                    if (check(got.status == 0, "%s: %s", what.c_str(), got.error.c_str()))
                        check_close(got.outputs[0], want, 3e-5, what);
                }
            }
        }
    }
}

// As those of a ReLU: 1 / y is not -inf.
TEST(fusedconv2d, zeros_are_positive)
{
    for (ConvCase c : {ConvCase(16, 20, 9, 14), ConvCase(16, 32, 30, 31), ConvCase(16, 3, 9, 14, 1, 0)}) {
        Layer l;
        l.c = c;
        l.c.negative = 0.f;
        l.c.scaled = false;
        ConvData data(l.c, 77);
        const std::vector<float> file = model_of(l, data);
        for (const Mode& mode : all_modes()) {
            const Outcome got =
                run_net(layer_text("FusedConv2d", params_of(l), 1, 1), file, inputs_of(l.c, data), 1, mode);
            int zeros = 0, negative = 0;
            for (float v : values_of(got.outputs.at(0))) {
                zeros += v == 0.f;
                negative += std::signbit(v);
            }
            check(zeros > 0 && negative == 0, "%s: %d zeros, %d with a sign", mode.name().c_str(), zeros,
                  negative);
        }
    }
}

// x in two parts, a residual, bias and slopes.
static const char* const kParams = "0=3 1=20 2=3 3=3 4=1 5=1 6=1 7=1 10=3 11=0.5 12=1 14=3";
static const size_t kWhole = 1 + 540 + 3 + 3;

TEST(fusedconv2d, truncated_models)
{
    const std::vector<ncnn::Mat> inputs = {random_mat({16, 2, 3}, 1), random_mat({4, 2, 3}, 2),
                                           random_mat({3, 2, 3}, 3)};
    const std::string layer = layer_text("FusedConv2d", kParams, 3, 1);
    for (size_t size = 0; size <= kWhole; size++) {
        for (bool stream : {false, true}) {
            const Outcome got =
                run_net(layer, std::vector<float>(size, 0.f), inputs, 1, all_modes()[size % 6], stream);
            check((got.status == 0) == (size == kWhole), "%zu of %zu values: status %d", size, kWhole,
                  got.status);
            check(got.error.empty() == (size == kWhole), "%zu of %zu values: it says \"%s\"", size, kWhole,
                  got.error.c_str());
        }
    }
}

TEST(fusedconv2d, every_value_shows)
{
    std::vector<float> file = values_of(random_mat({(int)kWhole}, 3, 0.2f, 1.f));
    file[0] = 0.f;
    // Weighted sums of both signs, so that slopes and what is above 0 show.
    const std::vector<ncnn::Mat> inputs = {random_mat({16, 4, 4}, 1), random_mat({4, 4, 4}, 2),
                                           random_mat({3, 4, 4}, 3)};
    const std::string layer = layer_text("FusedConv2d", kParams, 3, 1);
    for (const Mode& mode : {all_modes()[0], all_modes()[1]}) {
        const Outcome good = run_net(layer, file, inputs, 1, mode);
        check(good.status == 0, "%s", good.error.c_str());
        for (size_t i = 1; i < file.size(); i++) {
            std::vector<float> changed = file;
            changed[i] += 0.1f;
            const Outcome bad = run_net(layer, changed, inputs, 1, mode);
            check(difference(good.outputs.at(0), bad.outputs.at(0)) > 1e-4, "value %zu", i);
        }
        for (size_t input = 0; input < inputs.size(); input++) {
            std::vector<ncnn::Mat> changed = inputs;
            changed[input] = inputs[input].clone();
            changed[input][5] += 0.1f;
            const Outcome bad = run_net(layer, file, changed, 1, mode);
            check(difference(good.outputs.at(0), bad.outputs.at(0)) > 1e-4, "input %zu", input);
        }
        for (const char* other : {"11=0.51", "4=0 5=2", "6=0 7=2", "4=2 5=0", "6=2 7=0"}) {
            const Outcome bad = run_net(layer_text("FusedConv2d", std::string(kParams) + " " + other, 3, 1),
                                        file, inputs, 1, mode);
            check(bad.status == 0 && difference(good.outputs.at(0), bad.outputs.at(0)) > 1e-4, "%s", other);
        }
    }
    const std::string linear = "0=3 1=20 2=3 3=3 4=1 5=1 6=1 7=1 10=3 12=1";
    file.resize(kWhole - 3);
    const Outcome good = run_net(layer_text("FusedConv2d", linear, 3, 1), file, inputs, 1, all_modes()[1]);
    const Outcome bad =
        run_net(layer_text("FusedConv2d", linear + " 13=0.99", 3, 1), file, inputs, 1, all_modes()[1]);
    check(difference(good.outputs.at(0), bad.outputs.at(0)) > 1e-4, "slope");
}

// The very layer, on pictures of one size after another.
TEST(fusedconv2d, wrong_inputs)
{
    struct Wrong {
        std::vector<std::vector<int>> inputs;
        const char* says;
    };
    const std::vector<float> file(kWhole, 0.f);
    const Wrong cases[] = {
        {{{16, 4, 4}, {5, 4, 4}, {3, 4, 4}}, "expects x of [20, H, W], in parts of multiples of 16 channels"},
        {{{4, 4, 4}, {16, 4, 4}, {3, 4, 4}}, "expects x of [20, H, W], in parts of multiples of 16 channels"},
        {{{16, 4, 4}, {4, 5, 4}, {3, 4, 4}}, "expects x of [20, H, W], in parts of multiples of 16 channels"},
        {{{16, 16}, {3, 4, 4}}, "expects x of [20, H, W], in parts of multiples of 16 channels"},
        {{{20, 4, 4}, {3, 5, 4}}, "expects a residual of [3, 4, 4], got [3, 5, 4]"},
        {{{20, 4, 4}, {4, 4, 4}}, "expects a residual of [3, 4, 4], got [4, 4, 4]"},
    };
    for (const Wrong& wrong : cases) {
        std::vector<ncnn::Mat> inputs;
        for (const std::vector<int>& shape : wrong.inputs)
            inputs.push_back(random_mat(shape, 1));
        for (const Mode& mode : all_modes()) {
            const Outcome got =
                run_net(layer_text("FusedConv2d", kParams, (int)inputs.size(), 1), file, inputs, 1, mode);
            check(got.status != 0 && got.error.find(wrong.says) != std::string::npos,
                  "expected \"%s\", got \"%s\"", wrong.says, got.error.c_str());
        }
    }
    const std::string small = "0=3 1=4 2=3 3=3";
    const Outcome got = run_net(layer_text("FusedConv2d", small, 1, 1), std::vector<float>(109, 0.f),
                                {random_mat({4, 2, 5}, 1)}, 1, all_modes()[0]);
    check(got.status != 0 && got.error.find("a kernel of at most the padded x") != std::string::npos,
          "\"%s\"", got.error.c_str());
}
