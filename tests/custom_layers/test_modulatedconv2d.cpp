// ModulatedConv2d and ToRGB in a net, in every mode, against the oracle of conv_oracle.h.
#include "check.h"
#include "conv_oracle.h"
#include "net.h"

#include <math.h>
#include <string.h>

#include <algorithm>
#include <cmath>

namespace
{
enum Noise { kNone, kConstant, kInput };

struct Layer {
    ConvCase c; // its filter is made of `taps`
    int noise = kNone;
    bool demodulate = true;
    bool bias = true;
    float gain = 1.f;
    std::vector<float> taps; // as in the model file
    bool half = false;       // float16 where the file is tagged
};
} // namespace

static const float kSlope = 0.2f, kActGain = 1.4142135f;

static float word(unsigned bits)
{
    float v = 0.f;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

// Values as ncnn tags them. With `half` they are float16, which is why they are rounded here as well.
static void add_tagged(std::vector<float>& file, std::vector<float>& values, bool half)
{
    if (!half) {
        file.push_back(0.f);
        file.insert(file.end(), values.begin(), values.end());
        return;
    }
    file.push_back(word(0x01306B47));
    std::vector<unsigned short> halves;
    for (float& v : values) {
        halves.push_back(ncnn::float32_to_float16(v));
        v = ncnn::float16_to_float32(halves.back());
    }
    halves.resize((halves.size() + 1) / 2 * 2);
    const size_t at = file.size();
    file.resize(at + halves.size() / 2);
    memcpy(&file[at], halves.data(), halves.size() * sizeof(short));
}

static std::string params_of(const Layer& l)
{
    const ConvCase& c = l.c;
    return text("0=%d 1=%d 2=%d 3=%d 4=%d 5=%d 6=%d 7=%d 8=%d 9=%s 10=%d 11=%d 12=%s 13=%s 14=%s 15=%zu",
                c.outputs, c.inputs, c.kernel_h, c.kernel_w, c.up, c.padding, c.height, c.width, l.demodulate,
                num(l.gain).c_str(), l.noise, l.bias ? c.outputs : 0, num(kSlope).c_str(),
                num(kActGain).c_str(), num(std::isinf(c.limit) ? -1.f : c.limit).c_str(), l.taps.size());
}

// Weights that an ordinary run has: the numbers of ConvData, with the factors that demodulation makes.
static std::vector<float> model_of(const Layer& l, ConvData& data)
{
    const ConvCase& c = l.c;
    std::vector<float> file;
    add_tagged(file, data.weights, l.half);
    if (l.noise == kConstant)
        add_tagged(file, data.noise, l.half);
    if (!l.bias)
        data.bias.assign(data.bias.size(), 0.f);
    else
        file.insert(file.end(), data.bias.begin(), data.bias.end());
    file.insert(file.end(), l.taps.begin(), l.taps.end());
    const size_t each = data.weights.size() / (size_t)c.outputs;
    for (int o = 0; o < c.outputs; o++) {
        double energy = 1e-8;
        for (size_t k = 0; k < each; k++) {
            const double w = (double)data.weights[o * each + k] * data.scale_in[k / (each / c.inputs)];
            energy += w * w;
        }
        data.scale_out[o] = (float)(l.demodulate ? l.gain / sqrt(energy) : l.gain);
    }
    return file;
}

static void check_layer(Layer l, unsigned seed)
{
    ConvCase& c = l.c;
    c.noise = l.noise != kNone;
    c.positive = kActGain;
    c.negative = kActGain * kSlope;
    c.filter.clear();
    for (size_t k = l.taps.size(); k-- > 0;)
        c.filter.push_back(2.f * l.taps[k]);
    ConvData data(c, seed);
    const std::vector<float> file = model_of(l, data);
    const ncnn::Mat want = conv_oracle(c, data);
    std::vector<ncnn::Mat> inputs = {mat_of({c.inputs, c.height, c.width}, data.x),
                                     mat_of({c.inputs}, data.scale_in)};
    if (l.noise == kInput)
        inputs.push_back(mat_of({c.out_h(), c.out_w()}, data.noise));
    const std::string params = params_of(l);
    for (const Mode& mode : all_modes()) {
        for (bool stream : {false, true}) {
            const Outcome got = run_net(layer_text("ModulatedConv2d", params, (int)inputs.size(), 1), file,
                                        inputs, 1, mode, stream);
            const std::string what = text("ModulatedConv2d %s half=%d %s stream=%d", params.c_str(), l.half,
                                          mode.name().c_str(), stream);
            if (check(got.status == 0, "%s: %s", what.c_str(), got.error.c_str()))
                check_close(got.outputs[0], want, 3e-5, what);
        }
    }
}

TEST(modulatedconv2d, sweep)
{
    const std::vector<float> fir = {0.125f, 0.375f, 0.375f, 0.125f},
                             lopsided = {0.1f, 0.5f, 0.4f, 0.2f, -0.1f};
    unsigned seed = 1;
    for (ConvCase c : {ConvCase(5, 4, 6, 7), ConvCase(1, 1, 1, 1, 1, 0), ConvCase(16, 32, 9, 4, 1, 0),
                       ConvCase(33, 48, 20, 21), ConvCase(8, 20, 5, 5, 5, 3), ConvCase(32, 16, 1, 9)}) {
        for (int noise : {kNone, kConstant, kInput}) {
            Layer l;
            l.c = c;
            l.noise = noise;
            l.demodulate = seed % 3 != 0;
            l.bias = seed % 4 != 0;
            l.gain = seed % 2 ? 1.f : 0.6f;
            l.half = seed % 2 == 0;
            l.c.limit = noise == kInput ? 2.f : INFINITY;
            check_layer(l, 10 * seed++);
        }
    }
    for (ConvCase c : {ConvCase(5, 4, 4, 6), ConvCase(16, 32, 1, 2), ConvCase(48, 20, 9, 7)}) {
        for (const std::vector<float>& taps : {fir, lopsided}) {
            Layer l;
            l.c = c;
            l.c.up = 2;
            l.taps = taps;
            l.noise = (int)seed % 3;
            l.half = seed % 2 == 0;
            check_layer(l, 10 * seed++);
        }
    }
}

static const char* const kParams = "0=3 1=4 2=3 3=3 4=2 5=1 6=2 7=3 8=1 10=1 11=3 15=4";

TEST(modulatedconv2d, truncated_models)
{
    // weight [3, 4, 3, 3] and noise [4, 6] with their tags, bias [3], filter [4]
    const size_t whole = 1 + 108 + 1 + 24 + 3 + 4;
    const std::vector<ncnn::Mat> inputs = {random_mat({4, 2, 3}, 1), random_mat({4}, 2)};
    const std::string layer = layer_text("ModulatedConv2d", kParams, 2, 1);
    for (size_t size = 0; size <= whole; size++) {
        for (bool stream : {false, true}) {
            const Outcome got =
                run_net(layer, std::vector<float>(size, 0.f), inputs, 1, all_modes()[size % 6], stream);
            check((got.status == 0) == (size == whole), "%zu of %zu values: status %d", size, whole,
                  got.status);
            check(got.error.empty() == (size == whole), "%zu of %zu values: it says \"%s\"", size, whole,
                  got.error.c_str());
        }
    }
    for (size_t tag : {(size_t)0, (size_t)109}) { // int8 is not taken for float32
        std::vector<float> file(whole, 0.f);
        file[tag] = word(0x000D4B38);
        const Outcome got = run_net(layer, file, inputs, 1, all_modes()[0]);
        check(got.status != 0 && got.error.find("got another type") != std::string::npos,
              "int8 at %zu: \"%s\"", tag, got.error.c_str());
    }
}

TEST(modulatedconv2d, every_value_shows)
{
    const std::vector<float> file = [] {
        std::vector<float> values = values_of(random_mat({1 + 108 + 1 + 24 + 3 + 4}, 3, 0.2f, 1.f));
        values[0] = values[109] = 0.f;
        return values;
    }();
    const std::vector<ncnn::Mat> inputs = {random_mat({4, 2, 3}, 1, 0.2f, 1.f),
                                           random_mat({4}, 2, 0.2f, 1.f)};
    const std::string layer = layer_text("ModulatedConv2d", kParams, 2, 1);
    const Mode& mode = all_modes()[1];
    const Outcome good = run_net(layer, file, inputs, 1, mode);
    for (size_t i = 0; i < file.size(); i++) {
        if (i == 0 || i == 109)
            continue;
        std::vector<float> changed = file;
        changed[i] += 0.1f;
        const Outcome bad = run_net(layer, changed, inputs, 1, mode);
        check(difference(good.outputs.at(0), bad.outputs.at(0)) > 1e-4, "value %zu", i);
    }
    for (size_t input = 0; input < 2; input++) {
        for (int i = 0; i < inputs[input].w; i++) {
            std::vector<ncnn::Mat> changed = {inputs[0].clone(), inputs[1].clone()};
            changed[input][(size_t)i] += 0.1f;
            const Outcome bad = run_net(layer, file, changed, 1, mode);
            check(difference(good.outputs.at(0), bad.outputs.at(0)) > 1e-4, "input %zu value %d", input, i);
        }
    }
    for (const char* more : {"9=1.1", "13=1.1", "14=1.0"}) {
        const Outcome bad = run_net(layer_text("ModulatedConv2d", std::string(kParams) + " " + more, 2, 1),
                                    file, inputs, 1, mode);
        check(bad.status == 0 && difference(good.outputs.at(0), bad.outputs.at(0)) > 1e-4, "%s", more);
    }
}

// The image upsampled: zeros inserted, padded, and filtered along both axes with four times the gain.
static ncnn::Mat upsampled(const ncnn::Mat& image, const std::vector<float>& taps)
{
    const int n = (int)taps.size(), before = (n + 1) / 2;
    ncnn::Mat y = zeros({image.c, 2 * image.h, 2 * image.w});
    for (int c = 0; c < y.c; c++) {
        for (int i = 0; i < y.h; i++) {
            for (int j = 0; j < y.w; j++) {
                double sum = 0;
                for (int ky = 0; ky < n; ky++) {
                    for (int kx = 0; kx < n; kx++) {
                        const int row = i + ky - before, column = j + kx - before;
                        if (row >= 0 && column >= 0 && row < y.h && column < y.w && row % 2 == 0 &&
                            column % 2 == 0)
                            sum += 4. * taps[n - 1 - ky] * taps[n - 1 - kx] *
                                   image.channel(c).row(row / 2)[column / 2];
                    }
                }
                y.channel(c).row(i)[j] = (float)sum;
            }
        }
    }
    return y;
}

TEST(torgb, sweep)
{
    unsigned seed = 1;
    for (int in : {1, 5, 32, 48}) {
        for (int out : {1, 3, 4, 16, 20}) {
            for (const std::vector<float>& taps :
                 {std::vector<float>(), {0.125f, 0.375f, 0.375f, 0.125f}, {0.5f, 0.3f, 0.1f}, {1.f}}) {
                ConvCase c(in, out, 6 + 2 * ((int)seed % 3), 8, 1, 0);
                c.limit = seed % 2 ? 1.f : INFINITY;
                ConvData data(c, 10 * seed);
                data.scale_out.assign((size_t)out, 1.f);
                const bool bias = seed % 3 != 0;
                std::vector<float> file;
                add_tagged(file, data.weights, seed % 2 == 0);
                if (bias)
                    file.insert(file.end(), data.bias.begin(), data.bias.end());
                else
                    data.bias.assign((size_t)out, 0.f);
                file.insert(file.end(), taps.begin(), taps.end());
                std::vector<ncnn::Mat> inputs = {mat_of({in, c.height, c.width}, data.x),
                                                 mat_of({in}, data.scale_in)};
                ncnn::Mat want = conv_oracle(c, data);
                const ncnn::Mat rgb = want.clone();
                if (!taps.empty()) {
                    inputs.push_back(random_mat({out, c.height / 2, c.width / 2}, seed));
                    const ncnn::Mat image = upsampled(inputs[2], taps);
                    for (size_t i = 0; i < want.cstep * want.c; i++)
                        ((float*)want.data)[i] += ((const float*)image.data)[i];
                }
                const std::string params =
                    text("0=%d 1=%d 2=%d 3=%d 4=%d 5=%s 6=%zu", out, in, c.height, c.width, bias ? out : 0,
                         num(seed % 2 ? 1.f : -1.f).c_str(), taps.size());
                for (const Mode& mode : all_modes()) {
                    const Outcome got = run_layer("ToRGB", params, inputs, mode, 1, file);
                    const std::string what = text("ToRGB %s %s", params.c_str(), mode.name().c_str());
                    if (check(got.status == 0, "%s: %s", what.c_str(), got.error.c_str()))
                        check_close(got.outputs[0], want, 3e-6, what);
                    const Outcome both = run_layer("ToRGB", params + " 7=1", inputs, mode, 2, file);
                    if (check(both.status == 0, "%s, keep_rgb: %s", what.c_str(), both.error.c_str())) {
                        check_close(both.outputs[0], want, 3e-6, what + ", keep_rgb");
                        check_close(both.outputs[1], rgb, 3e-6, what + ", the kept picture");
                    }
                }
                seed++;
            }
        }
    }
}

TEST(torgb, truncated_models_and_changed_values)
{
    const std::vector<ncnn::Mat> inputs = {random_mat({4, 2, 4}, 1, 0.2f, 1.f), random_mat({4}, 2, 0.2f, 1.f),
                                           random_mat({3, 1, 2}, 3, 0.2f, 1.f)};
    const std::string layer = layer_text("ToRGB", "0=3 1=4 2=2 3=4 4=3 6=4", 3, 1);
    const Mode& mode = all_modes()[1];
    std::vector<float> file = values_of(random_mat({1 + 12 + 3 + 4}, 4, 0.2f, 1.f));
    file[0] = 0.f;
    const Outcome good = run_net(layer, file, inputs, 1, mode);
    check(good.status == 0, "%s", good.error.c_str());
    for (size_t size = 0; size < file.size(); size++) {
        const Outcome bad = run_net(layer, {file.begin(), file.begin() + (ptrdiff_t)size}, inputs, 1, mode);
        check(bad.status != 0 && !bad.error.empty(), "%zu values: status %d", size, bad.status);
        std::vector<float> changed = file;
        changed[size] += 0.1f;
        if (size == 0)
            changed[0] = word(0x000D4B38); // int8
        const Outcome other = run_net(layer, changed, inputs, 1, mode);
        check(size == 0 ? other.status != 0 : difference(good.outputs.at(0), other.outputs.at(0)) > 1e-4,
              "value %zu", size);
    }
    for (size_t input = 0; input < 3; input++) {
        std::vector<ncnn::Mat> changed = inputs;
        changed[input] = inputs[input].clone();
        changed[input][0] += 0.1f;
        check(difference(good.outputs.at(0), run_net(layer, file, changed, 1, mode).outputs.at(0)) > 1e-4,
              "input %zu", input);
    }
}
