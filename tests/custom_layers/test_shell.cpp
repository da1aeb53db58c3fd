#include "check.h"
#include "net.h"

#include <custom_layers/register_all.h>

#include <string.h>

static std::string params(const std::vector<int>& cdhw, int dims, bool bias)
{
    return text("0=%d 1=%d 2=%d 3=%d 5=%d 6=%d 11=%d", cdhw[3], cdhw[2], cdhw[0], dims, bias,
                cdhw[0] * cdhw[1] * cdhw[2] * cdhw[3], cdhw[1]);
}

// A tag of 0 (float32) and the values, then the bias.
static std::vector<float> file_of(const std::vector<float>& weight, const std::vector<float>& bias)
{
    std::vector<float> file = {0.f};
    file.insert(file.end(), weight.begin(), weight.end());
    file.insert(file.end(), bias.begin(), bias.end());
    return file;
}

TEST(shell, shapes)
{
    struct Case {
        std::vector<int> cdhw;
        int dims;
        std::vector<int> shape;
    };
    const Case cases[] = {{{5, 3, 3, 3}, 4, {5, 3, 3, 3}}, {{8, 6, 1, 1}, 4, {8, 6, 1, 1}},
                          {{1, 1, 4, 4}, 4, {1, 1, 4, 4}}, {{5, 1, 3, 3}, 3, {5, 3, 3}},
                          {{1, 1, 6, 7}, 2, {6, 7}},       {{1, 1, 1, 9}, 1, {9}},
                          {{1, 1, 1, 1}, 4, {1, 1, 1, 1}}, {{3, 1, 1, 1}, 4, {3, 1, 1, 1}}};
    for (const Case& c : cases) {
        const std::vector<float> weight = values_of(random_mat(c.cdhw, 1));
        const std::vector<float> bias = values_of(random_mat({c.cdhw[0]}, 2));
        for (int option = 0; option < 8; option++) {
            const bool with_bias = option & 1;
            const bool stream = option & 2;
            const bool with_input = option & 4;
            const std::vector<ncnn::Mat> inputs =
                with_input ? std::vector<ncnn::Mat>{zeros({3})} : std::vector<ncnn::Mat>{};
            for (const Mode& mode : all_modes()) {
                const Outcome got =
                    run_net(layer_text("Shell", params(c.cdhw, c.dims, with_bias), with_input, 1 + with_bias),
                            file_of(weight, with_bias ? bias : std::vector<float>()), inputs, 1 + with_bias,
                            mode, stream);
                const std::string what =
                    text("dims=%d C=%d D=%d H=%d W=%d bias=%d stream=%d input=%d", c.dims, c.cdhw[0],
                         c.cdhw[1], c.cdhw[2], c.cdhw[3], with_bias, stream, with_input);
                if (!check(got.status == 0, "%s: %s", what.c_str(), got.error.c_str()))
                    continue;
                check_close(got.outputs[0], mat_of(c.shape, weight), 0.0, what);
                if (with_bias)
                    check_close(got.outputs[1], mat_of({c.cdhw[0]}, bias), 0.0, what);
            }
        }
    }
}

TEST(shell, float16)
{
    // 1, -2, 0.5 and 1024 in half precision, behind the tag for it; then a bias, which stays float32
    const unsigned tag = 0x01306B47;
    const unsigned short halves[4] = {0x3c00, 0xc000, 0x3800, 0x6400};
    std::vector<float> file(5);
    memcpy(&file[0], &tag, 4);
    memcpy(&file[1], halves, 8);
    file[3] = 7.f;
    file[4] = 8.f;
    for (bool stream : {false, true}) {
        const Outcome got = run_net(layer_text("Shell", params({2, 1, 1, 2}, 4, true), 0, 2), file, {}, 2,
                                    all_modes()[0], stream);
        if (check(got.status == 0, "%s", got.error.c_str())) {
            check_close(got.outputs[0], mat_of({2, 1, 1, 2}, {1.f, -2.f, 0.5f, 1024.f}), 0.0, "weight");
            check_close(got.outputs[1], mat_of({2}, {7.f, 8.f}), 0.0, "bias");
        }
    }
}

// A layer that works in place, ours or ncnn's, right behind a Shell or behind views of its blobs.
TEST(shell, nothing_downstream_changes_the_weight)
{
    // 36 values a channel need no gap, so the loaded blob is the model's own memory unless Shell copies it.
    const char* net_text = "7767517\n8 11\n"
                           "Shell shell 0 2 weight bias 0=3 1=3 2=4 3=4 5=1 6=144 11=4\n"
                           "Split split 1 2 weight w0 w1\n"
                           "Square square 1 1 w0 out0\n"
                           "Reshape reshape 1 1 w1 flat 0=144\n"
                           "MulConstant mul 1 1 flat out1 0=5.0 1=1.0\n"
                           "Split split_b 1 2 bias b0 b1\n"
                           "ReLU relu 1 1 b0 out2\n"
                           "MulConstant mul_b 1 1 b1 out3 0=-3.0 1=0.0\n";
    const std::vector<float> weight = values_of(random_mat({4, 4, 3, 3}, 1));
    const std::vector<float> bias = values_of(random_mat({4}, 2));
    const std::vector<float> file = file_of(weight, bias);
    std::vector<float> want[4] = {weight, weight, bias, bias};
    for (float& v : want[0])
        v *= v;
    for (float& v : want[1])
        v = 5.f * v + 1.f;
    for (float& v : want[2])
        v = v > 0 ? v : 0;
    for (float& v : want[3])
        v *= -3.f;
    const std::vector<int> shapes[4] = {{4, 4, 3, 3}, {144}, {4}, {4}};

    for (const Mode& mode : all_modes()) {
        ncnn::Net net;
        net.opt = option_of(mode);
        const std::vector<float> model = file; // by reference: a write through it would show here
        if (!check(custom_layers::register_all(net) == 0 && net.load_param_mem(net_text) == 0 &&
                       net.load_model((const unsigned char*)model.data()) > 0,
                   "the net does not load"))
            return;
        for (int round = 0; round < 3; round++) {
            ncnn::Extractor extractor = net.create_extractor();
            for (int i = 0; i < 4; i++) {
                ncnn::Mat got;
                const int status = extractor.extract(text("out%d", i).c_str(), got);
                const std::string what = text("round=%d out%d %s", round, i, mode.name().c_str());
                if (check(status == 0, "%s: status %d", what.c_str(), status))
                    check_close(got, mat_of(shapes[i], want[i]), 2e-7, what);
            }
            ncnn::Mat untouched;
            extractor = net.create_extractor();
            extractor.extract("weight", untouched);
            check_close(untouched, mat_of({4, 4, 3, 3}, weight), 0.0,
                        text("round=%d weight %s", round, mode.name().c_str()));
        }
        check(model == file, "the model's own memory changed, %s", mode.name().c_str());
    }
}

// The blob is handed out, not copied.
TEST(shell, the_blob_is_shared)
{
    ncnn::Net net;
    const std::vector<float> file = file_of(values_of(random_mat({4, 4, 3, 3}, 1)), {});
    custom_layers::register_all(net);
    net.load_param_mem("7767517\n1 1\nShell shell 0 1 weight 0=3 1=3 2=4 3=4 5=0 6=144 11=4\n");
    net.load_model((const unsigned char*)file.data());
    const void* data[2];
    for (const void*& at : data) {
        ncnn::Mat weight;
        ncnn::Extractor extractor = net.create_extractor();
        extractor.extract("weight", weight);
        at = weight.data;
        check(weight.refcount && *weight.refcount >= 2, "the weight is not owned by the layer");
    }
    check(data[0] == data[1], "two forwards gave two copies");
}

// Shell, F4DOp1D and FconvTranspose2d together, as the reference target chains them.
TEST(shell, modulated_up_convolution)
{
    const ncnn::Mat w = random_mat({6, 5, 3, 3}, 1);
    const ncnn::Mat s = random_mat({6}, 2);
    const ncnn::Mat x = random_mat({6, 4, 4}, 3);
    const std::string tail = "0=5 1=3 3=2 5=0 6=270 17=6\n";
    ncnn::Mat modulated = w.clone();
    for (int c = 0; c < 6; c++)
        for (int i = 0; i < 45; i++)
            modulated.channel(c)[i] *= s[c];
    for (const Mode& mode : all_modes()) {
        const Outcome chained = run_net("Shell shell 0 1 weight 0=3 1=3 2=6 3=4 5=0 6=270 11=5\n"
                                        "F4DOp1D modulate 2 1 weight in1 modulated 0=0 1=0\n"
                                        "FconvTranspose2d up 2 1 in0 modulated out0 " +
                                            tail,
                                        file_of(values_of(w), {}), {x, s}, 1, mode);
        const Outcome direct =
            run_layer("FconvTranspose2d", tail.substr(0, tail.size() - 1), {x, modulated}, mode);
        if (check(chained.status == 0 && direct.status == 0, "%s %s", chained.error.c_str(),
                  direct.error.c_str()))
            check_close(chained.outputs[0], direct.outputs[0], 0.0, mode.name());
    }
}
