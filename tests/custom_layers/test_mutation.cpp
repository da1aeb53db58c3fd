// Do the comparisons of the other tests see a fault? For every layer, one changed parameter or value must
// show.
#include "check.h"
#include "net.h"

#include <custom_layers/register_all.h>

#include <math.h>

#include <cmath>
#include <set>

namespace
{
struct Mutation {
    const char* type;
    const char* params;
    const char* changed; // other parameters; null: the first value of input `input` is changed instead
    std::vector<std::vector<int>> inputs;
    int input = 0;
};
} // namespace

static const Mutation kMutations[] = {
    {"Abs", "", nullptr, {{3, 4, 4}}},
    {"Square", "", nullptr, {{16, 4, 4}}},
    {"Rsqrt", "0=1.0", "0=1.001", {{3, 4, 4}}},
    {"Rsqrt", "1=1.0", "1=1.001", {{3, 4, 4}}},
    {"Sqrt", "0=1.0", "0=1.001", {{3, 4, 4}}},
    {"Sin", "0=1.0", "0=1.001", {{3, 4, 4}}},
    {"Clamp", "0=0.4 1=0.6", "0=0.401 1=0.6", {{3, 4, 4}}},
    {"Clamp", "0=0.4 1=0.6", "0=0.4 1=0.601", {{3, 4, 4}}},
    {"Lerp", "", nullptr, {{5}, {5}, {1}}, 2},
    {"Lerp", "", nullptr, {{5}, {5}, {5}}, 1},
    {"StyleMixingSwitcher", "0=0", "0=1", {{4, 8}, {4, 8}, {4}}},
    {"StyleMixingSwitcher", "0=0", nullptr, {{8}, {8}, {4}}, 2},
    {"MulConstant", "0=1.0", "0=1.001", {{3, 4, 4}}},
    {"MulConstant", "1=1.0", "1=1.001", {{3, 4, 4}}},
    {"Fmatmul", "0=3 1=1 2=12", "0=3 1=1 2=12 9=2 -23310=1,2.0", {{4}, {3, 4}, {3}}},
    {"Fmatmul", "0=3 1=1 2=12", nullptr, {{4}, {3, 4}, {3}}, 1},
    {"Fmatmul", "0=3 1=1 2=12", nullptr, {{6, 4}, {3, 4}, {3}}, 2},
    {"BiasAct", "0=2 1=0.2 4=1", "0=2 1=0.201 4=1", {{16, 4, 4}, {16}}},
    {"BiasAct", "0=5 4=1", "0=6 4=1", {{16, 4, 4}, {16}}},
    {"BiasAct", "0=0 2=1.0 4=1", "0=0 2=1.001 4=1", {{16, 4, 4}, {16}}},
    {"BiasAct", "0=0 3=-1.0 4=1", "0=0 3=1.0 4=1", {{16, 4, 4}, {16}}},
    {"BiasAct", "0=0 4=1", nullptr, {{16, 4, 4}, {16}}, 1},
    {"F4DOp1D", "0=1 1=0", "0=2 1=0", {{2, 3, 3, 5}, {3}}},
    {"F4DOp1D", "0=1 1=0", "0=1 1=1", {{2, 3, 3, 5}, {3}}},
    {"AddNoise", "", nullptr, {{16, 4, 4}, {4, 4}}, 1},
    {"FconvTranspose2d",
     "0=6 1=3 6=216 17=4 3=2 12=1",
     "0=6 1=3 6=216 17=4 3=2 12=2 14=1 16=1",
     {{4, 4, 4}, {4, 6, 3, 3}}},
    {"FconvTranspose2d",
     "0=6 1=3 6=216 17=4 3=2 4=1",
     "0=6 1=3 6=216 17=4 3=2 4=0 14=1 16=1 15=2",
     {{4, 4, 4}, {4, 6, 3, 3}}},
    {"FconvTranspose2d", "0=4 1=3 6=144 17=4", "0=4 1=3 6=144", {{4, 4, 4}, {4, 4, 3, 3}}},
    {"FconvTranspose2d", "0=6 1=3 6=216 17=4 3=2", nullptr, {{4, 4, 4}, {4, 6, 3, 3}}, 1},
    {"FilteredLrelu", "12=-1.0", "12=-1.001", {{3, 4, 4}}},
    {"FilteredLrelu", "14=0.5", "14=0.501", {{3, 4, 4}}},
    {"FilteredLrelu", "0=2 1=2", "0=2 1=2 2=1 3=-1", {{16, 4, 4}}},
    {"FilteredLrelu", "", nullptr, {{3, 4, 4}}},
    {"Down2", "", nullptr, {{3, 4, 4}}},
    {"Up2", "", nullptr, {{3, 4, 4}}},
    {"Up4", "", nullptr, {{3, 4, 4}}},
    {"Transforms", "", nullptr, {{4}}},
    {"StyleganPost", "", nullptr, {{3, 4, 4}}},
    {"CoordConcat", "0=0", nullptr, {{3, 4, 4}}},
    {"Upfirdn2d", "11=1.0", "11=1.001", {{3, 4, 4}}},
    {"Upfirdn2d", "1=2 3=2", "1=2 3=2 6=1 7=-1", {{16, 4, 4}}},
    {"Upfirdn2d", "", nullptr, {{16, 4, 4}}},
};

TEST(mutation, every_change_shows)
{
    for (const Mutation& m : kMutations) {
        std::vector<ncnn::Mat> inputs;
        for (const std::vector<int>& shape : m.inputs)
            inputs.push_back(random_mat(shape, 11 + (unsigned)inputs.size(), 0.1f, 0.9f));
        if (m.params[0] && std::string(m.type) == "BiasAct")
            inputs[0] = random_mat(m.inputs[0], 11); // both signs
        if (std::string(m.type) == "Fmatmul")
            inputs[0] = random_mat(m.inputs[0], 11, -0.9f, -0.1f); // negative sums
        std::vector<ncnn::Mat> changed;
        for (const ncnn::Mat& input : inputs)
            changed.push_back(input.clone());
        if (!m.changed)
            changed[m.input][0] += 0.01f;
        for (const Mode& mode : all_modes()) {
            const Outcome good = run_layer(m.type, m.params, inputs, mode);
            const Outcome same = run_layer(m.type, m.params, inputs, mode);
            const Outcome bad = run_layer(m.type, m.changed ? m.changed : m.params, changed, mode);
            if (!check(good.status == 0 && same.status == 0 && bad.status == 0, "%s %s: %s%s", m.type,
                       m.params, good.error.c_str(), bad.error.c_str()))
                continue;
            check(difference(good.outputs[0], same.outputs[0]) == 0.0, "%s %s: two runs differ", m.type,
                  m.params);
            const double apart = difference(bad.outputs[0], good.outputs[0]);
            // 2e-6 is the widest tolerance of these tests
            check(apart > 1e-4, "%s %s and %s differ by %g only", m.type, m.params,
                  m.changed ? m.changed : "input", apart);
            check(std::isfinite(apart), "%s %s and %s have different shapes", m.type, m.params,
                  m.changed ? m.changed : "input");
        }
    }
}

TEST(mutation, a_changed_weight_shows)
{
    const std::string layer = layer_text("Shell", "0=3 1=3 2=4 3=4 5=1 6=36", 0, 2);
    std::vector<float> file(41, 0.f);
    const Outcome good = run_net(layer, file, {}, 2, all_modes()[0]);
    file[36] = 0.01f;
    const Outcome bad_weight = run_net(layer, file, {}, 2, all_modes()[0]);
    file[36] = 0.f;
    file[40] = 0.01f;
    const Outcome bad_bias = run_net(layer, file, {}, 2, all_modes()[0]);
    check(difference(good.outputs.at(0), bad_weight.outputs.at(0)) > 1e-4, "weight");
    check(difference(good.outputs.at(1), bad_bias.outputs.at(1)) > 1e-4, "bias");
}

TEST(mutation, a_changed_filter_or_bias_shows)
{
    // fu [4], fd [2, 3], b [3]; x is negative here and there, so that the slope shows as well
    const std::string params = "0=2 1=2 2=4 3=4 4=4 5=4 7=4 8=2 9=3 10=3";
    const ncnn::Mat x = random_mat({3, 4, 4}, 1);
    const std::vector<float> file = values_of(random_mat({13}, 2));
    for (const Mode& mode : all_modes()) {
        const Outcome good = run_layer("FilteredLrelu", params + " 13=0.2", {x}, mode, 1, file);
        for (size_t i = 0; i < file.size(); i++) {
            std::vector<float> changed = file;
            changed[i] += 0.01f;
            const Outcome bad = run_layer("FilteredLrelu", params + " 13=0.2", {x}, mode, 1, changed);
            check(difference(good.outputs.at(0), bad.outputs.at(0)) > 1e-4, "value %zu", i);
        }
        const Outcome slope = run_layer("FilteredLrelu", params + " 13=0.21", {x}, mode, 1, file);
        check(difference(good.outputs.at(0), slope.outputs.at(0)) > 1e-4, "slope");
        const Outcome flip = run_layer("FilteredLrelu", params + " 13=0.2 15=1", {x}, mode, 1, file);
        check(difference(good.outputs.at(0), flip.outputs.at(0)) > 1e-4, "flip_filter");
    }
}

TEST(mutation, every_layer_is_here)
{
    // Those that have a model file are in tests of their own.
    std::set<std::string> covered = {"Shell", "FusedConv2d", "ModulatedConv2d", "ToRGB"};
    for (const Mutation& m : kMutations)
        covered.insert(m.type);
    size_t count = 0;
    const char* const* names = custom_layers::layer_names(&count);
    for (size_t i = 0; i < count; i++)
        check(covered.count(names[i]) == 1, "%s has no mutation control", names[i]);
}

TEST(mutation, the_comparison_itself)
{
    const ncnn::Mat a = random_mat({3, 4, 5}, 1);
    ncnn::Mat b = a.clone();
    check(difference(a, b) == 0.0, "equal blobs differ");
    b.channel(2)[19] = NAN;
    check(difference(b, a) == INFINITY && difference(a, b) == INFINITY, "NaN is not seen");
    check(difference(a, random_mat({3, 5, 4}, 1)) == INFINITY, "another shape is not seen");
    check(difference(a, ncnn::Mat()) == INFINITY, "an empty blob is not seen");
}
