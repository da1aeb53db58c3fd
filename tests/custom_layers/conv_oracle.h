// What test_conv.cpp, test_conv_work.cpp and test_modulatedconv2d.cpp share: a convolution with all its
// options, and its result by a naive form in double precision that inserts the zeros, pads, and multiplies
// with every tap.
#pragma once

#include <custom_layers/conv.h>

#include <string>
#include <vector>

struct ConvCase {
    int inputs = 1;
    int outputs = 1;
    int height = 1;
    int width = 1;
    int kernel_h = 3;
    int kernel_w = 3;
    int padding = 1;
    int more_below = 0; // padding at the bottom and at the right beyond that, with up = 1
    int more_right = 0;
    int up = 1;
    std::vector<float> filter; // with up = 2; correlation order, with the gain
    bool winograd = true;
    bool late = false; // weights of any size are transformed late, where there are tiles enough
    bool noise = false;
    bool residual = false;
    bool scaled = true;     // channels on the way in and out
    bool slopes = false;    // of each output channel, in place of `negative`
    std::vector<int> parts; // channels of the blobs that x comes in; empty: one
    float positive = 1.f;   // of the activation
    float negative = 1.f;
    float limit;

    ConvCase();
    ConvCase(int i, int o, int h, int w, int size = 3, int border = 1);
    // The same with up = 2 and a filter of so many taps, without symmetry.
    ConvCase& upsampled(int taps, int border = 1);

    int out_h() const { return height * up + 2 * padding + more_below - kernel_h + 1; }
    int out_w() const { return width * up + 2 * padding + more_right - kernel_w + 1; }
    double cost() const; // multiplications of the oracle
    std::string name() const;
};

// Numbers whose result is about 1.
struct ConvData {
    std::vector<float> x; // [inputs, height, width]
    std::vector<float> weights;
    std::vector<float> scale_in;
    std::vector<float> scale_out;
    std::vector<float> bias;
    std::vector<float> noise;
    std::vector<float> slopes;
    std::vector<float> residual; // [outputs, out_h, out_w]

    ConvData(const ConvCase& c, unsigned seed);
};

ncnn::Mat conv_oracle(const ConvCase& c, const ConvData& data);

// A Conv of these sizes, not prepared.
custom_layers::Conv conv_of(const ConvCase& c);

// How a prepared one shares its work, by what its plan says.
custom_layers::ConvSharing sharing_of(const custom_layers::Conv& conv, const ConvCase& c, int threads);

// How a Conv is run. kernels null: the scalar form.
struct ConvForm {
    const custom_layers::FirKernels* kernels;
    int x_pack;
    int y_pack;
    int threads;
    int shift = 0; // floats that x and y lie behind a boundary of 64 bytes

    std::string name() const;
};

// All kernels of this machine, and null.
std::vector<const custom_layers::FirKernels*> conv_kernel_sets();

// The result unpacked; empty after a failure, or a failed check that nothing beside y was written. What the
// layer takes from the workspace is NaN at first, and ends where it ends.
ncnn::Mat run_conv(const custom_layers::Conv& conv, const ConvCase& c, const ConvData& data,
                   const ConvForm& form);

// Whether a scheme is Winograd's, and how far from the oracle it may be.
double conv_tolerance(custom_layers::ConvScheme scheme);
const char* scheme_name(custom_layers::ConvScheme scheme);
