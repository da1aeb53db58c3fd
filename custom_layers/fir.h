// What FilteredLrelu and Upfirdn2d have in common: an image is upsampled by zeros, padded, filtered,
// activated, filtered again and decimated.
//
// Along one axis of n pixels, with filters of `u` and `d` taps in correlation order:
// clang-format off
//   z[p] = x[(p - before) / up] where that is a whole number of 0 to n - 1, else 0;  p < n * up + before + after
//   t[q] = act(sum over k of u[k] * z[q + k])
//   y[o] = sum over k of d[k] * t[o * down + k]
// clang-format on
// Two forms compute it. The scalar form is the definition, pixel by pixel, with a plane of t in memory. The
// fast form (fir_tiles.cpp) works on tiles and takes only the taps that meet a pixel: no zeros, no plane of
// t.
#pragma once

#include "checks.h"
#include "fir_kernels.h"

namespace custom_layers
{

struct FirFilter {
    static const int kMostTaps = 256; // along one axis

    int h = 1;
    int w = 1;
    bool separable = true;             // full = column * row
    bool mirrored = false;             // row k of `full` is row h - 1 - k, exactly
    std::vector<float> full = {1.f};   // [h, w] in correlation order, times the gain
    std::vector<float> column = {1.f}; // [h], if separable
    std::vector<float> row = {1.f};    // [w], if separable; has the gain

    // `values` as the author gave them: [columns] for both axes if rows is 0, else [rows, columns]; no
    // columns is the identity. Convolution order, unless `flip`.
    void set(const float* values, int rows, int columns, bool flip, float gain);
};

// A filter as it stands in a param file, by its sizes, and in a model file, by its values.
struct FirSource {
    int rows = 0;
    int columns = 0;

    // In load_param; names of the parameters `name`_h and `name`_w.
    int load_param(const ncnn::Layer& layer, ParamReader& reader, const char* name, int rows_id,
                   int columns_id);

    // In load_model.
    int load_model(const ncnn::Layer& layer, const ncnn::ModelBin& mb, const char* name, bool flip,
                   float gain, FirFilter& filter) const;
};

// One value of a scalar form; the kernels do the same.
inline float activate(const FirActivation& activation, float v)
{
    v *= v < 0.f ? activation.negative : activation.positive;
    return v < -activation.limit ? -activation.limit : v > activation.limit ? activation.limit : v;
}

struct FirAxis {
    static const int kMostFactor = 64;
    static const int kMostPadding = 1 << 20;

    int up = 1;
    int down = 1;
    int before = 0; // padding after the upsampling; negative: cropped
    int after = 0;

    // Sizes of t and y for n pixels; not positive where nothing is left.
    int64_t filtered(int n, int up_taps) const;
    int64_t output(int n, int up_taps, int down_taps) const;

    // The first tap of t[q] that meets a pixel (then every up-th does), and the pixel that tap k of t[q]
    // meets.
    int first_tap(int q) const { return (int)((((int64_t)before - q) % up + up) % up); }
    int pixel(int q, int k) const { return (int)(((int64_t)q + k - before) / up); }
};

class Fir
{
public:
    FirAxis y;
    FirAxis x;
    FirFilter up;
    FirFilter down;
    FirActivation activation;

    // Reads the four paddings.
    void load_padding(ParamReader& reader, int top, int bottom, int left, int right);

    // top = the above for every channel of image + bias; `bias` has a number per channel or is null. The
    // result is packed as the image is. Every fault is reported in the name of `layer`.
    int run(const ncnn::Layer& layer, const ncnn::Mat& image, const float* bias, ncnn::Mat& top,
            const ncnn::Option& opt) const;

    // The same with given kernels; null: the scalar form.
    int run(const ncnn::Layer& layer, const ncnn::Mat& image, const float* bias, ncnn::Mat& top,
            const ncnn::Option& opt, const FirKernels* kernels) const;

private:
    int run_scalar(const ncnn::Mat& image, const float* bias, ncnn::Mat& top, const ncnn::Option& opt) const;
};

// `count` raw floats of the model file; nothing if it is 0.
int load_values(const ncnn::Layer& layer, const ncnn::ModelBin& mb, const char* name, int count,
                ncnn::Mat& values);

// The same, or zeros in their place.
int load_or_zeros(const ncnn::Layer& layer, const ncnn::ModelBin& mb, const char* name, bool present,
                  int count, ncnn::Mat& values);

// `count` values that are tagged as float32 or float16, as float32.
int load_tagged(const ncnn::Layer& layer, const ncnn::ModelBin& mb, const char* name, int count,
                ncnn::Mat& values);

// The fast form. 0, -1 when out of memory, or 1 when its buffers would be larger than they may be: then
// nothing was done.
int run_fir_tiles(const Fir& fir, const FirKernels& kernels, const ncnn::Mat& image, const float* bias,
                  ncnn::Mat& top, const ncnn::Option& opt);

} // namespace custom_layers
