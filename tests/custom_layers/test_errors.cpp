// Wrong shapes and wrong parameters: a report that names the layer and says what it got, for every layer.
#include "check.h"
#include "net.h"

#include <custom_layers/error.h>
#include <custom_layers/biasact.h>
#include <custom_layers/register_all.h>

#include <string.h>

#include <set>

namespace
{
struct Bad {
    const char* type;
    const char* params;
    std::vector<std::vector<int>> inputs;
    const char* says; // part of the message
    int outputs = 1;
};
} // namespace

// The sizes of a good FconvTranspose2d: 4 -> 6 channels, 3x3.
#define UP "0=6 1=3 6=216 17=4"

static const Bad kBad[] = {
    {"Abs", "", {{3}, {3}}, "expects 1 inputs, got 2"},
    {"Square", "", {}, "expects 1 inputs, got 0"},
    {"Square", "", {{3}}, "expects 1 outputs, got 2", 2},
    {"Rsqrt", "0=nope", {{3}}, "parameter 0 (eps) expects a number"},
    {"Rsqrt", "1=nan", {{3}}, "parameter 1 (scale) expects a number"},
    {"Sqrt", "-23300=1,1.0", {{3}}, "parameter 0 (eps) expects a number"},
    {"Sin", "0=pi", {{3}}, "parameter 0 (scale) expects a number"},
    {"Clamp", "0=2.0 1=1.0", {{3}}, "expects min <= max, got min=2 max=1"},
    {"MulConstant", "1=x", {{3}}, "parameter 1 (bias) expects a number"},
    {"StyleganPost", "", {{3}, {4}}, "expects 1 inputs, got 2"},
    {"Lerp", "", {{3}, {3}}, "expects 3 inputs, got 2"},
    {"Lerp", "", {{3}, {4}, {1}}, "got [3], [4], [1]"},
    {"Lerp", "", {{3}, {3}, {2}}, "got [3], [3], [2]"},
    {"Lerp", "", {{16, 4}, {4, 16}, {1}}, "got [16, 4], [4, 16], [1]"},
    {"StyleMixingSwitcher", "0=-1", {{8}, {8}, {4}}, "parameter 0 (ws_i) expects 0 or more, got -1"},
    {"StyleMixingSwitcher", "0=4", {{8}, {8}, {4}}, "got [8], [8], [4]"},
    {"StyleMixingSwitcher", "0=3", {{3, 8}, {8}, {4}}, "got [3, 8], [8], [4]"},
    {"StyleMixingSwitcher", "0=3", {{8}, {3, 8}, {4}}, "got [8], [3, 8], [4]"},
    {"StyleMixingSwitcher", "0=0", {{8}, {9}, {4}}, "got [8], [9], [4]"},
    {"StyleMixingSwitcher", "0=0", {{8}, {8}, {2, 2}}, "got [8], [8], [2, 2]"},
    {"StyleMixingSwitcher", "0=0", {{1, 2, 8}, {8}, {4}}, "got [1, 2, 8], [8], [4]"},
    {"Shell", "0=3 1=3 2=4 11=2 3=4 6=71", {}, "weight_data_size=71 for [4, 2, 3, 3]"},
    {"Shell", "0=65536 1=65536 2=1 11=1 3=4 6=65536", {}, "weight_data_size=65536 for [1, 1, 65536, 65536]"},
    {"Shell", "0=0 1=3 2=4 3=4 6=12", {}, "parameter 0 (w) expects 1 or more, got 0"},
    {"Shell", "0=3 1=3 2=4 11=2 3=3 6=72", {}, "where dims=3 drops them"},
    {"Shell", "0=3 1=3 2=4 11=1 3=2 6=36", {}, "where dims=2 drops them"},
    {"Shell", "0=3 1=3 2=1 11=1 3=1 6=9", {}, "where dims=1 drops them"},
    {"Shell", "0=3 1=3 2=4 3=5 6=36", {}, "parameter 3 (dims) expects 1 to 4, got 5"},
    {"Shell", "0=3 1=3 2=4 3=4 5=1 6=36", {}, "expects 2 outputs, got 1"},
    {"Shell", "0=3 1=3 2=4 3=4 5=0 6=36", {{1}, {1}}, "expects 0 or 1 inputs, got 2"},
    {"Shell", "0=3 1=3 2=4 3=4 5=0 6=36", {}, "expects 36 weights as float32 or float16 in the model file"},
    {"Fmatmul", "0=3 1=0 2=12", {{5}, {3, 4}}, "got [5], [3, 4]"},
    {"Fmatmul", "0=3 1=0 2=12", {{4}, {3, 5}}, "got [4], [3, 5]"},
    {"Fmatmul", "0=3 1=0 2=12", {{1, 1, 4}, {3, 4}}, "got [1, 1, 4], [3, 4]"},
    {"Fmatmul", "0=3 1=1 2=12", {{4}, {3, 4}, {4}}, "expects b of [3], got [4], [3, 4], [4]"},
    {"Fmatmul", "0=3 1=1 2=12", {{4}, {3, 4}}, "expects 3 inputs, got 2"},
    {"Fmatmul", "0=3 1=0 2=13", {{4}, {3, 4}}, "expects weight_data_size = num_output * inputs, got 13"},
    {"Fmatmul", "0=3 1=0 2=12 8=1", {{4}, {3, 4}}, "int8 weights are not supported"},
    {"Fmatmul", "0=0 1=0 2=12", {{4}, {3, 4}}, "parameter 0 (num_output) expects 1 or more, got 0"},
    {"Fmatmul", "0=3.0 1=0 2=12", {{4}, {3, 4}}, "parameter 0 (num_output) expects an integer"},
    {"Fmatmul", "0=3 1=0 2=12 9=7", {{4}, {3, 4}}, "activation_type) expects 0 to 6, got 7"},
    {"Fmatmul", "0=3 1=0 2=12 9=3 -23310=1,1.0", {{4}, {3, 4}}, "expects 2 activation_params, got 1"},
    {"Fmatmul", "0=3 1=0 2=12 9=2 10=0.5", {{4}, {3, 4}}, "(activation_params) expects an array of numbers"},
    {"Fmatmul", "0=3 1=0 2=12 9=6 -23310=2,0.0,1.0", {{4}, {3, 4}}, "whose first is not 0"},
    {"BiasAct", "0=9", {{3}}, "parameter 0 (act) expects 0 to 8, got 9"},
    {"BiasAct", "2=nan", {{3}}, "parameter 2 (gain) expects a number"},
    {"BiasAct", "4=1", {{3}}, "expects 2 inputs, got 1"},
    {"BiasAct", "4=0", {{3}, {3}}, "expects 1 inputs, got 2"},
    {"BiasAct", "4=1", {{3, 4, 5}, {5}}, "expects a bias of [3] for x of [3, 4, 5], got [5]"},
    {"BiasAct", "4=1", {{16, 4, 5}, {8}}, "expects a bias of [16] for x of [16, 4, 5], got [8]"},
    {"BiasAct", "4=1", {{4, 8}, {4}}, "expects a bias of [8] for x of [4, 8], got [4]"},
    {"BiasAct", "4=1", {{8}, {2, 4}}, "expects a bias of [8] for x of [8], got [2, 4]"},
    {"F4DOp1D", "0=4", {{2, 3, 4, 5}, {3}}, "parameter 0 (dim) expects 0 to 3, got 4"},
    {"F4DOp1D", "1=-1", {{2, 3, 4, 5}, {3}}, "parameter 1 (op) expects 0 to 3, got -1"},
    {"F4DOp1D", "0=1 1=0", {{2, 3, 4, 5}, {4}}, "got [2, 3, 4, 5], [4]"},
    {"F4DOp1D", "0=1 1=0", {{2, 3, 4}, {3}}, "got [2, 3, 4], [3]"},
    {"F4DOp1D", "0=1 1=0", {{2, 3, 4, 5}, {3, 2}}, "got [2, 3, 4, 5], [3, 2]"},
    {"F4DOp1D", "0=1 1=0", {{2, 3, 4, 5}, {4, 1, 1, 1}}, "got [2, 3, 4, 5], [4, 1, 1, 1]"},
    {"AddNoise", "", {{3, 4, 5}, {4, 4}}, "got [3, 4, 5], [4, 4]"},
    {"AddNoise", "", {{16, 4, 4}, {16, 4, 4}}, "got [16, 4, 4], [16, 4, 4]"},
    {"AddNoise", "", {{4, 5}, {4, 5}}, "got [4, 5], [4, 5]"},
    {"AddNoise", "", {{3, 4, 5}}, "expects 2 inputs, got 1"},
    {"FconvTranspose2d", UP, {{5, 4, 4}, {4, 6, 3, 3}}, "got [5, 4, 4], [4, 6, 3, 3]"},
    {"FconvTranspose2d", UP, {{4, 4, 4}, {6, 4, 3, 3}}, "got [4, 4, 4], [6, 4, 3, 3]"},
    {"FconvTranspose2d", UP, {{4, 4, 4}, {4, 6, 9}}, "got [4, 4, 4], [4, 6, 9]"},
    {"FconvTranspose2d", UP " 5=1", {{4, 4, 4}, {4, 6, 3, 3}, {4}}, "expects b of [6]"},
    {"FconvTranspose2d", UP " 5=1", {{4, 4, 4}, {4, 6, 3, 3}}, "expects 3 inputs, got 2"},
    {"FconvTranspose2d", UP " 4=3", {{4, 4, 4}, {4, 6, 3, 3}}, "an output of [6, 0, 0] is impossible"},
    {"FconvTranspose2d", UP " 4=-1", {{4, 4, 4}, {4, 6, 3, 3}}, "(pad_left) expects 0 to 32768, got -1"},
    {"FconvTranspose2d", UP " 3=0", {{4, 4, 4}, {4, 6, 3, 3}}, "(stride_w) expects 1 to 32768, got 0"},
    {"FconvTranspose2d",
     UP " 18=-2",
     {{4, 4, 4}, {4, 6, 3, 3}},
     "(output_pad_right) expects 0 to 32768, got -2"},
    {"FconvTranspose2d", UP " 7=3", {{4, 4, 4}, {4, 6, 3, 3}}, "divisible by group, got 4, 6, 3"},
    {"FconvTranspose2d", UP " 7=2", {{4, 4, 4}, {4, 6, 3, 3}}, "got 216 for 4 * 6 / 2 * 3 * 3"},
    {"FconvTranspose2d", UP " 17=-1", {{4, 4, 4}, {4, 6, 3, 3}}, "(num_input) expects 0 or more, got -1"},
    {"FconvTranspose2d", "0=6 1=3 6=216", {{4, 4, 4}, {4, 6, 3, 3}}, "and w of [6, 4, 3, 3], got"},
    {"FconvTranspose2d", "0=6 1=3 6=216", {{5, 4, 4}, {6, 4, 3, 3}}, "expects x of [4, H, W]"},
    {"FconvTranspose2d", "0=6 1=3 6=215", {{4, 4, 4}, {6, 4, 3, 3}}, "got 215 for 3 * 6 / 1 * 3 * 3"},
    {"FconvTranspose2d", "0=6 1=3 6=9", {{4, 4, 4}, {6, 4, 3, 3}}, "got 9 for 0 * 6 / 1 * 3 * 3"},
    {"FilteredLrelu", "0=0", {{3, 4, 4}}, "parameter 0 (up) expects 1 to 64, got 0"},
    {"FilteredLrelu", "1=65", {{3, 4, 4}}, "parameter 1 (down) expects 1 to 64, got 65"},
    {"FilteredLrelu", "0=2.0", {{3, 4, 4}}, "parameter 0 (up) expects an integer"},
    {"FilteredLrelu", "2=1048577", {{3, 4, 4}}, "parameter 2 (pad_top) expects -1048576 to 1048576, got"},
    {"FilteredLrelu", "5=-2147483648", {{3, 4, 4}}, "parameter 5 (pad_right) expects -1048576 to"},
    {"FilteredLrelu", "6=3", {{3, 4, 4}}, "expects fu_w of 1 or more where fu_h is 3, got 0"},
    {"FilteredLrelu", "9=257", {{3, 4, 4}}, "parameter 9 (fd_w) expects 0 to 256, got 257"},
    {"FilteredLrelu", "7=-1", {{3, 4, 4}}, "parameter 7 (fu_w) expects 0 to 256, got -1"},
    {"FilteredLrelu", "10=-3", {{3, 4, 4}}, "parameter 10 (bias_data_size) expects 0 or more, got -3"},
    {"FilteredLrelu", "10=2147483647", {{3, 4, 4}}, "expects 2147483647 values of b"},
    {"FilteredLrelu", "12=nan", {{3, 4, 4}}, "parameter 12 (gain) expects a number"},
    {"FilteredLrelu", "13=x", {{3, 4, 4}}, "parameter 13 (slope) expects a number"},
    {"FilteredLrelu", "", {{3, 4, 4}, {3}}, "expects 1 inputs, got 2"},
    {"FilteredLrelu", "", {{4, 4}}, "expects [C, H, W], got [4, 4]"},
    {"FilteredLrelu", "", {{3, 2, 4, 4}}, "expects [C, H, W], got [3, 2, 4, 4]"},
    {"FilteredLrelu", "2=-2 3=-2", {{16, 4, 4}}, "an output of [16, 0, 4] is impossible"},
    {"FilteredLrelu", "4=-9 5=20", {{3, 4, 4}}, "an output of [3, 4, 0] is impossible"},
    {"FilteredLrelu", "4=-1048576 5=-1048576", {{3, 4, 4}}, "an output of [3, 4, 0] is impossible"},
    {"Upfirdn2d", "1=0", {{3, 4, 4}}, "parameter 1 (up_x) expects 1 to 64, got 0"},
    {"Upfirdn2d", "2=100", {{3, 4, 4}}, "parameter 2 (down_y) expects 1 to 64, got 100"},
    {"Upfirdn2d", "8=2", {{3, 4, 4}}, "expects f_w of 1 or more where f_h is 2, got 0"},
    {"Upfirdn2d",
     "9=5",
     {{3, 4, 4}},
     "expects 5 values of f as float32 in the model file, got too few bytes"},
    {"Upfirdn2d", "10=2", {{3, 4, 4}}, "parameter 10 (flip_filter) expects 0 or 1, got 2"},
    {"Upfirdn2d", "", {{3, 4, 4}, {3}}, "expects 1 inputs, got 2"},
    {"Upfirdn2d", "", {{16}}, "expects [C, H, W], got [16]"},
    {"Upfirdn2d", "6=-4", {{16, 4, 4}}, "an output of [16, 4, 0] is impossible"},
    {"Down2", "", {{4, 4}}, "expects [C, H, W], got [4, 4]"},
    {"Up2", "", {{3, 2, 4, 4}}, "expects [C, H, W], got [3, 2, 4, 4]"},
    {"Up4", "", {{16}}, "expects [C, H, W], got [16]"},
    {"Transforms", "", {{5}}, "expects [4] (r_c, r_s, t_x, t_y), got [5]"},
    {"Transforms", "", {{2, 2}}, "got [2, 2]"},
    {"CoordConcat", "0=0", {{4, 4}}, "expects [C, H, W], got [4, 4]"},
    {"FusedConv2d", "0=0 1=4 2=3 3=3", {{4, 4, 5}}, "parameter 0 (num_output) expects 1 to 32768, got 0"},
    {"FusedConv2d",
     "0=3 1=32769 2=3 3=3",
     {{4, 4, 5}},
     "parameter 1 (num_input) expects 1 to 32768, got 32769"},
    {"FusedConv2d", "0=3 1=4 2=65 3=3", {{4, 4, 5}}, "parameter 2 (kernel_h) expects 1 to 64, got 65"},
    {"FusedConv2d", "0=3 1=4 2=3 3=0", {{4, 4, 5}}, "parameter 3 (kernel_w) expects 1 to 64, got 0"},
    {"FusedConv2d", "0=3 1=4 2=3 3=3 4=-1", {{4, 4, 5}}, "parameter 4 (pad_top) expects 0 to 32768, got -1"},
    {"FusedConv2d",
     "0=3 1=4 2=3 3=3 5=-1",
     {{4, 4, 5}},
     "parameter 5 (pad_bottom) expects 0 to 32768, got -1"},
    {"FusedConv2d", "0=3 1=4 2=3 3=3 6=-1", {{4, 4, 5}}, "parameter 6 (pad_left) expects 0 to 32768, got -1"},
    {"FusedConv2d",
     "0=3 1=4 2=3 3=3 7=-1",
     {{4, 4, 5}},
     "parameter 7 (pad_right) expects 0 to 32768, got -1"},
    {"FusedConv2d",
     "0=3 1=4 2=3 3=3 8=32769",
     {{4, 4, 5}},
     "parameter 8 (height) expects 0 to 32768, got 32769"},
    {"FusedConv2d",
     "0=3 1=4 2=3 3=3 9=32769",
     {{4, 4, 5}},
     "parameter 9 (width) expects 0 to 32768, got 32769"},
    {"FusedConv2d",
     "0=3 1=4 2=3 3=3 10=-1",
     {{4, 4, 5}},
     "parameter 10 (bias_data_size) expects 0 or more, got -1"},
    {"FusedConv2d", "0=3 1=4 2=3 3=3 12=2", {{4, 4, 5}}, "parameter 12 (residual) expects 0 or 1, got 2"},
    {"FusedConv2d",
     "0=3 1=4 2=3 3=3 14=-1",
     {{4, 4, 5}},
     "parameter 14 (slope_data_size) expects 0 or more, got -1"},
    {"FusedConv2d",
     "0=3 1=4 2=3 3=3 10=2",
     {{4, 4, 5}},
     "expects bias_data_size of 0 or num_output, got 2 for 3"},
    {"FusedConv2d",
     "0=3 1=4 2=3 3=3 14=2",
     {{4, 4, 5}},
     "expects slope_data_size of 0 or num_output, got 2 for 3"},
    {"FusedConv2d",
     "0=32768 1=32768 2=3 3=3",
     {{4, 4, 5}},
     "expects at most 2^29 weights, got 32768 * 32768 * 3 * 3"},
    {"FusedConv2d",
     "0=3 1=4 2=3 3=3 8=2 9=5",
     {{4, 4, 5}},
     "expects a kernel of at most the padded x, got 3x3"},
    {"FusedConv2d",
     "0=3 1=4 2=3 3=3 8=32768 9=32768",
     {{4, 4, 5}},
     "expects at most 2^28 pixels, got 32768 * 32768"},
    {"FusedConv2d",
     "0=3 1=4 2=3 3=3",
     {{4, 4, 5}},
     "expects 108 values of weight as float32 or float16 in the model file, got too few bytes"},
    {"FusedConv2d", "0=3 1=4 2=3 3=3 12=1", {{4, 4, 5}}, "inputs, got 1"},
    {"ModulatedConv2d",
     "0=0 1=4 2=3 3=3 5=1 6=4 7=5",
     {{4, 4, 5}, {4}},
     "parameter 0 (num_output) expects 1 to 32768, got 0"},
    {"ModulatedConv2d",
     "0=2147483647 1=4 2=3 3=3 5=1 6=4 7=5",
     {{4, 4, 5}, {4}},
     "parameter 0 (num_output) expects 1 to 32768, got 2147483647"},
    {"ModulatedConv2d",
     "0=3 1=-1 2=3 3=3 5=1 6=4 7=5",
     {{4, 4, 5}, {4}},
     "parameter 1 (num_input) expects 1 to 32768, got -1"},
    {"ModulatedConv2d",
     "0=3 1=2147483647 2=3 3=3 5=1 6=4 7=5",
     {{4, 4, 5}, {4}},
     "parameter 1 (num_input) expects 1 to 32768, got 2147483647"},
    {"ModulatedConv2d",
     "0=3 1=4 2=0 3=3 5=1 6=4 7=5",
     {{4, 4, 5}, {4}},
     "parameter 2 (kernel_h) expects 1 to 64, got 0"},
    {"ModulatedConv2d",
     "0=3 1=4 2=65 3=3 5=1 6=4 7=5",
     {{4, 4, 5}, {4}},
     "parameter 2 (kernel_h) expects 1 to 64, got 65"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=0 5=1 6=4 7=5",
     {{4, 4, 5}, {4}},
     "parameter 3 (kernel_w) expects 1 to 64, got 0"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=2147483647 5=1 6=4 7=5",
     {{4, 4, 5}, {4}},
     "parameter 3 (kernel_w) expects 1 to 64, got 2147483647"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 4=0 5=1 6=4 7=5",
     {{4, 4, 5}, {4}},
     "parameter 4 (up) expects 1 or 2, got 0"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 4=3 5=1 6=4 7=5",
     {{4, 4, 5}, {4}},
     "parameter 4 (up) expects 1 or 2, got 3"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=-1 6=4 7=5",
     {{4, 4, 5}, {4}},
     "parameter 5 (padding) expects 0 to 32768, got -1"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=2147483647 6=4 7=5",
     {{4, 4, 5}, {4}},
     "parameter 5 (padding) expects 0 to 32768, got 2147483647"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=1 6=0 7=5",
     {{4, 4, 5}, {4}},
     "parameter 6 (height) expects 1 to 32768, got 0"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=1 6=32769 7=5",
     {{4, 4, 5}, {4}},
     "parameter 6 (height) expects 1 to 32768, got 32769"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=1 6=4 7=0",
     {{4, 4, 5}, {4}},
     "parameter 7 (width) expects 1 to 32768, got 0"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=1 6=4 7=2147483647",
     {{4, 4, 5}, {4}},
     "parameter 7 (width) expects 1 to 32768, got 2147483647"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=1 6=4 7=5 8=2",
     {{4, 4, 5}, {4}},
     "parameter 8 (demodulate) expects 0 or 1, got 2"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=1 6=4 7=5 10=3",
     {{4, 4, 5}, {4}},
     "parameter 10 (noise) expects 0 to 2, got 3"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=1 6=4 7=5 10=-1",
     {{4, 4, 5}, {4}},
     "parameter 10 (noise) expects 0 to 2, got -1"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=1 6=4 7=5 11=-1",
     {{4, 4, 5}, {4}},
     "parameter 11 (bias_data_size) expects 0 or more, got -1"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=1 6=4 7=5 15=-1",
     {{4, 4, 5}, {4}},
     "parameter 15 (filter_size) expects 0 to 256, got -1"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=1 6=4 7=5 15=257",
     {{4, 4, 5}, {4}},
     "parameter 15 (filter_size) expects 0 to 256, got 257"},
    {"ModulatedConv2d",
     "0=1.5 1=4 2=3 3=3 5=1 6=4 7=5",
     {{4, 4, 5}, {4}},
     "parameter 0 (num_output) expects an integer"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=1 6=4 7=5 9=nan",
     {{4, 4, 5}, {4}},
     "parameter 9 (gain) expects a number"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=1 6=4 7=5 12=nan",
     {{4, 4, 5}, {4}},
     "parameter 12 (slope) expects a number"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=1 6=4 7=5 13=nan",
     {{4, 4, 5}, {4}},
     "parameter 13 (act_gain) expects a number"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=1 6=4 7=5 14=nan",
     {{4, 4, 5}, {4}},
     "parameter 14 (clamp) expects a number"},
    {"ModulatedConv2d",
     "0=3 1=4 2=1 3=1 4=2 5=1 6=4 7=5 15=4",
     {{4, 4, 5}, {4}},
     "expects a kernel of 3x3 for up=2, got 1x1"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 4=2 5=1 6=4 7=5",
     {{4, 4, 5}, {4}},
     "expects a filter for up=2 only, got filter_size=0 for up=2"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=1 6=4 7=5 15=4",
     {{4, 4, 5}, {4}},
     "expects a filter for up=2 only, got filter_size=4 for up=1"},
    {"ModulatedConv2d",
     "0=3 1=4 2=64 3=64 5=1 6=4 7=5",
     {{4, 4, 5}, {4}},
     "expects a kernel of at most the padded x, got 64x64"},
    {"ModulatedConv2d",
     "0=32768 1=32768 2=3 3=3 5=1 6=4 7=5",
     {{4, 4, 5}, {4}},
     "expects at most 2^29 weights, got 32768 * 32768 * 3 * 3"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=1 6=32768 7=32768",
     {{4, 4, 5}, {4}},
     "expects at most 2^28 pixels, got 32768 * 32768"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=32768 6=4 7=5",
     {{4, 4, 5}, {4}},
     "expects at most 2^28 pixels, got 4 * 5 and 65538 * 65539"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=1 6=4 7=5 11=2",
     {{4, 4, 5}, {4}},
     "expects bias_data_size of 0 or num_output, got 2 for 3"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=1 6=4 7=5 11=2147483647",
     {{4, 4, 5}, {4}},
     "got 2147483647 for 3"},
    {"ModulatedConv2d",
     "0=3 1=4 2=3 3=3 5=1 6=4 7=5",
     {{4, 4, 5}, {4}},
     "expects 108 values of weight as float32 or float16 in the model file, got too few bytes"},
    {"ModulatedConv2d",
     "0=32768 1=4096 2=2 3=2 5=1 6=4 7=5",
     {{4, 4, 5}, {4}},
     "values of weight as float32 or float16 in the model file, got too few bytes"},
    {"ModulatedConv2d", "0=3 1=4 2=3 3=3 5=1 6=4 7=5", {{4, 4, 5}}, "expects 2 inputs, got 1"},
    {"ModulatedConv2d", "0=3 1=4 2=3 3=3 5=1 6=4 7=5", {{4, 4, 5}, {4}, {4, 5}}, "expects 2 inputs, got 3"},
    {"ModulatedConv2d", "0=3 1=4 2=3 3=3 5=1 6=4 7=5 10=2", {{4, 4, 5}, {4}}, "expects 3 inputs, got 2"},
    {"ToRGB", "0=0 1=4 2=4 3=6", {{4, 4, 6}, {4}}, "parameter 0 (num_output) expects 1 to 32768, got 0"},
    {"ToRGB",
     "0=3 1=2147483647 2=4 3=6",
     {{4, 4, 6}, {4}},
     "parameter 1 (num_input) expects 1 to 32768, got 2147483647"},
    {"ToRGB", "0=3 1=4 2=32769 3=6", {{4, 4, 6}, {4}}, "parameter 2 (height) expects 1 to 32768, got 32769"},
    {"ToRGB", "0=3 1=4 2=4 3=-5", {{4, 4, 6}, {4}}, "parameter 3 (width) expects 1 to 32768, got -5"},
    {"ToRGB",
     "0=3 1=4 2=4 3=6 4=-1",
     {{4, 4, 6}, {4}},
     "parameter 4 (bias_data_size) expects 0 or more, got -1"},
    {"ToRGB",
     "0=3 1=4 2=4 3=6 6=257",
     {{4, 4, 6}, {4}},
     "parameter 6 (filter_size) expects 0 to 256, got 257"},
    {"ToRGB", "0=3 1=4 2=4 3=6 5=nan", {{4, 4, 6}, {4}}, "parameter 5 (clamp) expects a number"},
    {"ToRGB", "0=3 1=4 2=32768 3=32768", {{4, 4, 6}, {4}}, "expects at most 2^28 pixels, got 32768 * 32768"},
    {"ToRGB",
     "0=32768 1=32768 2=4 3=6",
     {{4, 4, 6}, {4}},
     "expects at most 2^29 weights, got 32768 * 32768 * 1 * 1"},
    {"ToRGB", "0=3 1=4 2=4 3=6 4=2147483647", {{4, 4, 6}, {4}}, "got 2147483647 for 3"},
    {"ToRGB",
     "0=3 1=4 2=3 3=6 6=4",
     {{4, 3, 6}, {4}, {3, 1, 3}},
     "expects an even size with an image, got 3x6"},
    {"ToRGB",
     "0=3 1=4 2=4 3=6",
     {{4, 4, 6}, {4}},
     "expects 12 values of weight as float32 or float16 in the model file, got too few bytes"},
    {"ToRGB", "0=3 1=4 2=4 3=6", {{4, 4, 6}}, "expects 2 inputs, got 1"},
    {"ToRGB", "0=3 1=4 2=4 3=6 6=4", {{4, 4, 6}, {4}}, "expects 3 inputs, got 2"},
};

TEST(errors, reported)
{
    for (const Bad& bad : kBad) {
        std::vector<ncnn::Mat> inputs;
        for (const std::vector<int>& shape : bad.inputs)
            inputs.push_back(random_mat(shape, 1));
        for (const Mode& mode : all_modes()) {
            const Outcome got = run_layer(bad.type, bad.params, inputs, mode, bad.outputs);
            const std::string what = text("%s %s, expected \"%s\"", bad.type, bad.params, bad.says);
            check(got.status != 0, "%s: no error", what.c_str());
            check(got.error.find(std::string(bad.type) + " under_test: ") == 0 &&
                      got.error.find(bad.says) != std::string::npos,
                  "%s: it says \"%s\"", what.c_str(), got.error.c_str());
        }
    }
}

// Wrong inputs of the layers that have a model file.
TEST(errors, inputs_of_convolutions)
{
    const std::vector<float> weights(200, 0.f);
    const Bad cases[] = {
        {"ModulatedConv2d", "", {{5, 4, 5}, {4}}, "expects x of [4, 4, 5], got [5, 4, 5]"},
        {"ModulatedConv2d", "", {{4, 5, 4}, {4}}, "expects x of [4, 4, 5], got [4, 5, 4]"},
        {"ModulatedConv2d", "", {{4, 20}, {4}}, "expects x of [4, 4, 5], got [4, 20]"},
        {"ModulatedConv2d", "", {{4, 4, 5}, {5}}, "expects styles of [4], got [5]"},
        {"ModulatedConv2d", "", {{4, 4, 5}, {1, 4}}, "expects styles of [4], got [1, 4]"},
        {"ModulatedConv2d", "10=2", {{4, 4, 5}, {4}, {5, 5}}, "expects noise of [4, 5], got [5, 5]"},
        {"ToRGB", "", {{5, 4, 6}, {4}}, "expects x of [4, 4, 6], got [5, 4, 6]"},
        {"ToRGB", "", {{4, 4, 6}, {3}}, "expects styles of [4], got [3]"},
        {"ToRGB", "6=4", {{4, 4, 6}, {4}, {3, 4, 6}}, "expects an image of [3, 2, 3], got [3, 4, 6]"},
        {"ToRGB", "6=4", {{4, 4, 6}, {4}, {4, 2, 3}}, "expects an image of [3, 2, 3], got [4, 2, 3]"},
        {"ToRGB", "6=4", {{4, 4, 6}, {4}, {6, 3}}, "expects an image of [3, 2, 3], got [6, 3]"},
    };
    for (const Bad& bad : cases) {
        const bool rgb = std::string(bad.type) == "ToRGB";
        const std::string params =
            std::string(rgb ? "0=3 1=4 2=4 3=6 " : "0=3 1=4 2=3 3=3 5=1 6=4 7=5 ") + bad.params;
        const std::vector<float> file(weights.begin(), weights.begin() + (!rgb            ? 109
                                                                          : bad.params[0] ? 17
                                                                                          : 13));
        std::vector<ncnn::Mat> inputs;
        for (const std::vector<int>& shape : bad.inputs)
            inputs.push_back(random_mat(shape, 1));
        for (const Mode& mode : all_modes()) {
            const Outcome got = run_layer(bad.type, params, inputs, mode, 1, file);
            check(got.status != 0 && got.error.find(bad.says) != std::string::npos,
                  "%s %s: it says \"%s\", not \"%s\"", bad.type, params.c_str(), got.error.c_str(), bad.says);
        }
    }
}

TEST(errors, every_layer_has_a_case)
{
    std::set<std::string> covered;
    for (const Bad& bad : kBad)
        covered.insert(bad.type);
    size_t count = 0;
    const char* const* names = custom_layers::layer_names(&count);
    check(count == 26, "%zu layers are registered, not 26", count);
    for (size_t i = 0; i < count; i++)
        check(covered.count(names[i]) == 1, "%s has no case of wrong input", names[i]);
}

TEST(errors, blobs_that_are_not_float32)
{
    custom_layers::ErrorScope scope;
    custom_layers::BiasAct layer;
    layer.load_param(ncnn::ParamDict());
    ncnn::Mat bytes(8, (size_t)1u);
    ncnn::Mat empty;
    check(layer.forward_inplace(bytes, ncnn::Option()) != 0, "int8 was accepted");
    check(scope.message() == "custom layer: expects float32, got 8 bits per value in [8]", "it says \"%s\"",
          scope.message().c_str());
    custom_layers::ErrorScope second;
    check(layer.forward_inplace(empty, ncnn::Option()) != 0, "an empty blob was accepted");
    check(second.message().find("expects a blob with values, got []") != std::string::npos, "it says \"%s\"",
          second.message().c_str());
}

TEST(errors, scopes_nest_and_keep_the_first_message)
{
    custom_layers::BiasAct layer;
    custom_layers::ErrorScope outer;
    {
        custom_layers::ErrorScope inner;
        check(custom_layers::fail(layer, "one %d", 1) == -1, "fail does not return -1");
        custom_layers::fail(layer, "two");
        check(inner.message() == "custom layer: one 1", "inner: \"%s\"", inner.message().c_str());
    }
    check(outer.message().empty(), "outer: \"%s\"", outer.message().c_str());
    const std::string longest(5000, 'x');
    custom_layers::fail(layer, "%s", longest.c_str());
    check(outer.message() == "custom layer: " + longest, "a long message was cut to %zu",
          outer.message().size());
}

TEST(errors, truncated_models)
{
    const std::string layer = layer_text("Shell", "0=3 1=3 2=4 3=4 5=1 6=36", 0, 2);
    for (size_t size = 0; size <= 41; size++) {
        for (bool stream : {false, true}) {
            const Outcome got = run_net(layer, std::vector<float>(size, 0.f), {}, 2, all_modes()[0], stream);
            check((got.status == 0) == (size == 41), "%zu of 41 values, stream=%d: status %d", size, stream,
                  got.status);
            check(got.error.empty() == (size == 41), "%zu of 41 values: it says \"%s\"", size,
                  got.error.c_str());
        }
    }
    // a tag of int8
    std::vector<float> file(41, 0.f);
    const unsigned tag = 0x000D4B38;
    memcpy(&file[0], &tag, 4);
    const Outcome got = run_net(layer, file, {}, 2, all_modes()[0]);
    check(got.status != 0 && got.error.find("got another type") != std::string::npos, "int8: \"%s\"",
          got.error.c_str());
}
