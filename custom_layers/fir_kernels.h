// The inner loops of fir_tiles.cpp, compiled once for each instruction set and chosen at run time.
//
// They see rows of pixels of 16 floats: 16 channels (or parts of channels) side by side, whatever the packing
// of the blobs. So no loop has to shuffle, and a shift by a pixel is a shift by a whole vector.
#pragma once

#include <stddef.h>

namespace custom_layers
{

enum { kFirLanes = 16 };

// v < 0 ? v * negative : v * positive, then limited to -limit to limit. NaN stays NaN.
struct FirActivation {
    float positive = 1.f;
    float negative = 1.f;
    float limit; // infinite: none

    FirActivation();
    bool identity() const;
};

// A weighted sum of rows.
struct FirSum {
    const float* base;
    const int* offsets; // of the rows from `base`, in floats
    const float* taps;  // one for each
    int count;
    int step; // pixels from one pixel taken to the next
};

struct FirKernels {
    const char* name; // of the instruction set

    // to[i * to_step] = sum over k of taps[k] * row k [i * step], for i < pixels
    void (*sum)(const FirSum& sum, float* to, int to_step, int pixels);
    // the same, activated
    void (*sum_activate)(const FirSum& sum, const FirActivation& activation, float* to, int to_step,
                         int pixels);
    // to = a + b
    void (*add)(const float* a, const float* b, float* to, int pixels);
    // Packed pixels to rows of 16: from[i] holds lanes i * pack to i * pack + pack - 1, or is null for zeros;
    // each lane times its scale plus its bias.
    void (*gather)(const float* const* from, int pack, const float* scale, const float* bias, float* to,
                   int pixels);
    // The way back; null: those lanes are dropped.
    void (*scatter)(const float* from, float* const* to, int pack, int pixels);
};

// All that this machine can run, the best one first; ends with null. The last one is the baseline.
const FirKernels* const* fir_kernels();

} // namespace custom_layers
