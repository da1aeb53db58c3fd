// The inner loops of conv.cpp, compiled once for each instruction set and chosen at run time.
//
// As in fir_kernels.h they see pixels of 16 floats: 16 channels side by side, whatever the packing of the
// blobs. A convolution is a list of matrix products between transformed tiles of the image and transformed
// weights:
//   image -gather-> rows -input-> values [value][channels / 16][tile][16]
//         -gemm->   sums [sum][channels / 16][tile][16] -output-> rows -finish-> result
#pragma once

#include "fir_kernels.h"

#include <stdint.h>

namespace custom_layers
{

enum { kConvLanes = kFirLanes, kConvFew = 4 };

// How tiles become values, and sums become pixels. Source of the Winograd forms: Lavin and Gray 2016, "Fast
// Algorithms for Convolutional Neural Networks"; the points are listed in conv_transforms.inc.h.
enum ConvScheme {
    kConvDirect,     // one pixel; a value for each tap
    kConvWinograd4,  // 3x3: 4x4 pixels from 6x6
    kConvWinograd6,  // 3x3: 6x6 pixels from 8x8
    kConvUpDirect,   // transposed 3x3 of stride 2: 2x2 pixels from 2x2, a sum for each phase
    kConvUpWinograd, // the same: 10x10 pixels from 6x6
};

// What a sum becomes: y = activation(sum * scale + bias + addend), with a scale, a bias and what the
// activation multiplies negative numbers by for each of 16 channels.
struct ConvFinish {
    const float* scale;
    const float* bias;
    const float* negative;
    FirActivation activation;
};

// What is added to pixels: one of the two, or nothing.
struct ConvAddends {
    const float* noise;      // one number a pixel, or null
    ptrdiff_t noise_step;    // from a row to the next
    const float* residual;   // pixels as those of the result, whose rows are as long; or null
    ptrdiff_t residual_part; // floats to the next part of a packed blob
};

struct ConvKernels {
    const char* name; // of the instruction set
    int panel;        // channels whose weights lie side by side: 16 or 32
    int pack;         // of the blobs that are taken and given without a detour
    int columns;      // tiles that are best taken at once

    // Weights of 16 output channels, rows[lane] [inputs, taps] (null: zeros), as matrices [inputs, step]: of
    // each tap, or with `transform` [points, 3] of each point of transform * w * transform^T.
    void (*weights)(const float* transform, int points, int taps, const float* const* rows, int inputs,
                    float* to, ptrdiff_t matrix_step, int step);
    // One row of such a transform, of weights that lie as matrices of nine taps: values `of_row` [3] along y,
    // and all points along x, each a matrix. Of `count` numbers of each matrix, a multiple of 16.
    void (*point)(const float* of_row, const float* transform, int points, const float* taps,
                  ptrdiff_t tap_step, float* to, ptrdiff_t matrix_step, ptrdiff_t count);
    // The same of taps in float16, as `narrow` makes them; null where gemm_narrow is.
    void (*point_narrow)(const float* of_row, const float* transform, int points, const uint16_t* taps,
                         ptrdiff_t tap_step, float* to, ptrdiff_t matrix_step, ptrdiff_t count);
    // Tiles side by side, `rows` being their first pixel, to values; each channel times its scale, unless
    // that is null. part_step 0: pixels of 16 floats. Else a packed blob: `pack` channels, and part_step
    // floats on the next ones.
    void (*input)(ConvScheme scheme, int kernel_h, int kernel_w, const float* rows, ptrdiff_t row_step,
                  ptrdiff_t part_step, const float* scale, float* to, ptrdiff_t value_step, int tiles);
    int depth; // input channels whose narrow weights lie side by side: 1 or 2
    // sums[g][t] (+)= sum over i < inputs of weights[i][16 * g ..] * values[i / 16][t][i % 16], g < groups.
    void (*gemm)(const float* weights, int groups, const float* values, ptrdiff_t value_step, int inputs,
                 float* sums, ptrdiff_t sum_step, int tiles, bool add);
    // The same of narrow weights. In float16 they become floats as they are taken; null where that takes more
    // than one instruction. In bfloat16, where `gemm` is null, values become such, and products are of these.
    void (*gemm_narrow)(const uint16_t* weights, int groups, const float* values, ptrdiff_t value_step,
                        int inputs, float* sums, ptrdiff_t sum_step, int tiles, bool add);
    // Weights of 16 output channels [inputs, 16] to narrow ones, [inputs / depth, step, depth]; what lies
    // behind an odd number of inputs is zero.
    void (*narrow)(const float* from, int inputs, uint16_t* to, int step);
    // Sums to tiles of pixels side by side.
    void (*output)(ConvScheme scheme, const float* sums, ptrdiff_t sum_step, float* rows, ptrdiff_t row_step,
                   int tiles);
    // The same of a Winograd scheme, finished, to a packed blob as above.
    void (*output_packed)(ConvScheme scheme, const float* sums, ptrdiff_t sum_step, const ConvFinish& finish,
                          const ConvAddends& addends, float* rows, ptrdiff_t row_step, ptrdiff_t part_step,
                          int tiles);
    // Pixels of one row, finished; a residual is pixels of 16 floats.
    void (*finish)(const ConvFinish& finish, const float* from, const ConvAddends& addends, float* to,
                   int pixels);
    // The same to a packed blob.
    void (*finish_packed)(const ConvFinish& finish, const float* from, const ConvAddends& addends, float* to,
                          ptrdiff_t part_step, int pixels);
    // The same of rows filtered with four taps along both axes, without a residual; rows[k] is taken by
    // taps[k] and has three more pixels.
    void (*filter_packed)(const float* const* rows, const float* taps, const ConvFinish& finish,
                          const ConvAddends& addends, float* to, ptrdiff_t part_step, int pixels);
    // Few outputs of a 1x1 convolution: sums[o][i] = sum over all channels of weights[o][channel] *
    // x[channel][i], o < outputs <= kConvFew, of a packed blob with `parts` parts of `pack` channels.
    void (*dots)(const float* weights, int outputs, const float* x, ptrdiff_t part_step, int parts,
                 float* sums, ptrdiff_t sum_step, int pixels);
    // Whether Winograd's 6x6 may be taken. In WebAssembly, which promises numbers within 1e-5 of the largest,
    // only where a product and its sum are rounded once: the machine decides what f32x4.relaxed_madd does.
    bool (*rounds_once)();
};

// The kernels that belong to these of fir_kernels(). half: those whose matrix product is in half precision,
// where the processor has such; their weights are no floats.
const ConvKernels& conv_kernels(const FirKernels& fir, bool half = false);

// Whether it has.
bool have_half_kernels();

// Those whose matrix product is in bfloat16, or null where the processor has no instructions for it.
const ConvKernels* bf16_kernels();

} // namespace custom_layers
