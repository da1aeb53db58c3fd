// The inner loops of fir_tiles.cpp, compiled once for each instruction set and chosen at run time.
//
// They see rows of pixels of 16 floats: 16 channels (or parts of channels) side by side, whatever the packing
// of the blobs. So no loop has to shuffle, and a shift by a pixel is a shift by a whole vector.
#pragma once

#include <stddef.h>

namespace custom_layers
{

enum { kFirLanes = 16, kFirMostPixels = 16 };

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

// Two weighted sums of rows that overlap: the second one begins `shift` rows later and ends no earlier.
struct FirPair {
    const float* base;
    const int* offsets; // of the rows that either meets
    const float* taps;
    const float* taps_next;
    int count;
    int count_next;
    int shift;
};

// Sums of rows times the taps of a filter whose rows k and h - 1 - k are the same: two rows are added first,
// which saves half the multiplications.
struct FirFold {
    const float* base;
    const int* offsets; // of the rows
    const float* taps;  // [h, w]
    float* scratch;     // (kFirMostPixels - 1) * step + w pixels
    int h;
    int w;
    int step;      // as in FirSum
    int next_step; // rows from the first sum's first row to the second one's
};

struct FirKernels {
    const char* name; // of the instruction set

    // to[i * to_step] = sum over k of taps[k] * row k [i * step], for i < pixels
    void (*sum)(const FirSum& sum, float* to, int to_step, int pixels);
    // the same, activated
    void (*sum_activate)(const FirSum& sum, const FirActivation& activation, float* to, int to_step,
                         int pixels);
    // two sums without a step: every row is read once
    void (*sum_pair)(const FirPair& pair, float* to, float* to_next, int pixels);
    // one or, unless to_next is null, two sums
    void (*sum_folded)(const FirFold& fold, float* to, float* to_next, int pixels);
    // Packed pixels to rows of 16: from[i] holds lanes i * pack to i * pack + pack - 1; each lane times its
    // scale plus its bias. The pixels `ahead` floats further on are wanted soon.
    void (*gather)(const float* const* from, int pack, ptrdiff_t ahead, const float* scale, const float* bias,
                   float* to, int pixels);
    // The way back.
    void (*scatter)(const float* from, float* const* to, int pack, ptrdiff_t ahead, int pixels);
};

// All that this machine can run, the best one first; ends with null. The last one is the baseline.
const FirKernels* const* fir_kernels();

} // namespace custom_layers
