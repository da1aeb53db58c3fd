// The convolution of FusedConv2d, ModulatedConv2d and ToRGB: static weights, a scale for each input channel
// on the way in; a scale, noise, bias, a residual and activation on the way out.
//
//   y[o] = activation(scale_out[o] * conv(x * scale_in, w)[o] + noise + bias[o] + residual[o])
//
// up = 1: a correlation of stride 1 with zero padding. up = 2: a transposed convolution of stride 2, then an
// FIR filter along both axes, whose border is StyleGAN2's: padding + (taps + 1) / 2 - (kernel - 1) pixels
// before, and as many behind that (2 H + 2 padding - kernel + 1) pixels come out.
//
// Zeros of the result are positive, as those of a ReLU.
//
// Weights are laid out when the layer is loaded, for the scheme that is best for one size of x; they serve
// every size. Where Winograd's form of them is large and soon made, beside what is done with it, each run
// makes it anew, a row of its matrices at a time.
#pragma once

#include "checks.h"
#include "conv_kernels.h"

namespace custom_layers
{

// One product of matrices: sums[sum] (+)= weights[matrix] * values[value].
struct ConvProduct {
    int sum;
    int value;
    int matrix;
    bool add;
};

// What a scheme makes of a tile.
struct ConvTiles {
    ConvScheme scheme = kConvDirect;
    int tile_h = 1; // pixels read
    int tile_w = 1;
    int step = 1;   // pixels from a tile to the next
    int pixels = 1; // made, along an axis
    int values = 1;
    int sums = 1;
    int matrices = 1;
    const float* transform = nullptr; // of three taps [points, 3]; null: weights are taken as they are
    int points = 0;
    std::vector<ConvProduct> products; // by matrix, where there is a transform

    // Multiplications of a weight's transform, as ConvKernels::point does it.
    double late_work() const { return points * (9. + 3. * points); }
};

// How a run shares its work among threads.
struct ConvSharing {
    enum Way { kFew, kTiles, kChannels, kRows, kSteps }; // kRows: rows of tiles, where a filter follows
    Way way;
    int threads;   // that have work
    int shares;    // of the tiles, rows or channels; with kSteps of the products
    int strips;    // that a row of tiles is cut into
    int64_t bytes; // of workspace
    double speed;  // by the plan's arithmetic, of one thread
};

// What a convolution is run on.
struct ConvArguments {
    // Blobs of one height and width, whose channels together are those of the convolution. All but the last
    // have a multiple of kConvLanes.
    const ncnn::Mat* x = nullptr;
    int parts = 1;
    const float* scale_in = nullptr;  // of each input; null: 1
    const float* scale_out = nullptr; // of each output; null: 1
    const float* bias = nullptr;      // of each output
    const float* negative = nullptr;  // of each output, in place of the activation's; or null
    const float* noise = nullptr;     // [out_height, out_width], or null
    // Of the shape and packing of y, with up = 1 and without noise; or null.
    const ncnn::Mat* residual = nullptr;
    FirActivation activation;
};

// What a convolution may have in 16 bits, each where the processor can; outputs that are few have nothing.
struct ConvNumbers {
    // Products of pixels that are multiplied as they are in float16: Winograd's values are so different that
    // 3 % of the result would be wrong.
    bool half = false;
    // Weights in float16, which are widened on the way: products and sums stay floats.
    bool narrow = false;
    // Weights and values in bfloat16, products and sums in floats, by these kernels; null: not.
    // bf16_kernels() has the processor's.
    const ConvKernels* bf16 = nullptr;

    // What ncnn's options ask for: use_fp16_arithmetic, use_fp16_storage, use_bf16_packed.
    static ConvNumbers of(const ncnn::Option& opt);
};

class Conv
{
public:
    // Sizes of the kernel and of the x that weights are laid out for, with at most 2^28 pixels in x and y;
    // `up` is 1 or 2 (then the kernel is 3x3, there is a filter, and the padding is the same on all sides).
    int inputs = 0;
    int outputs = 0;
    int kernel_h = 1;
    int kernel_w = 1;
    int up = 1;
    int pad_top = 0;
    int pad_bottom = 0;
    int pad_left = 0;
    int pad_right = 0;
    int height = 0;
    int width = 0;
    std::vector<float> filter; // with up = 2: taps in correlation order, times the gain of one axis
    // Bytes from which on transformed weights are not kept, where they are made again in a tenth of the
    // products' work: 512 channels take 67 MB of them, 9 as they are, and a run reads either from as far
    // away.
    double late_from = 1 << 24;

    void set_padding(int all) { pad_top = pad_bottom = pad_left = pad_right = all; }
    int out_height(int h) const { return h * up + pad_top + pad_bottom - kernel_h + 1; }
    int out_width(int w) const { return w * up + pad_left + pad_right - kernel_w + 1; }
    int out_height() const { return out_height(height); }
    int out_width() const { return out_width(width); }

    // In load_param, after the sizes: reports in the name of `layer` what could not be computed.
    int check_sizes(const ncnn::Layer& layer) const;
    int check_size(const ncnn::Layer& layer, int h, int w) const; // likewise, of an x

    // In forward: x and styles are of these sizes, and prepare() was called.
    int check_inputs(const ncnn::Layer& layer, const ncnn::Mat& x, const ncnn::Mat& styles) const;

    // In create_pipeline: prepare() as the options say, and `weight` is let go. Reports in the name of
    // `layer`.
    int create(const ncnn::Layer& layer, ncnn::Mat& weight, const ncnn::Option& opt);

    // weights [outputs, inputs, kernel_h, kernel_w]. `winograd` false: products of pixels only. 0, or -1 when
    // out of memory.
    int prepare(const float* weights, bool winograd, const FirKernels& kernels,
                const ConvNumbers& numbers = ConvNumbers());
    size_t weight_bytes() const { return weights_.total() * weights_.elemsize; } // that are kept
    bool late() const { return late_; } // transformed in each run, a part at a time
    bool prepared() const { return fir_ != nullptr; }
    ConvScheme scheme() const { return tiles_.scheme; }
    ConvSharing sharing(const ConvArguments& arguments, const ncnn::Mat& top, const ncnn::Option& opt) const;

    // top [outputs, out_height(x.h), out_width(x.w)] is there, in any packing. 0, or -1 when out of memory.
    // Several threads may run the same Conv at once.
    int run(const ConvArguments& arguments, ncnn::Mat& top, const ncnn::Option& opt) const;

    // The same by its definition, pixel by pixel; it takes the weights as they were given to prepare().
    int run_scalar(const float* weights, const ConvArguments& arguments, ncnn::Mat& top,
                   const ncnn::Option& opt) const;

private:
    friend class ConvRun;

    void choose(bool winograd);
    bool transforms_late() const;

    ConvTiles tiles_;
    bool late_ = false;
    const FirKernels* fir_ = nullptr;
    const ConvKernels* kernels_ = nullptr;
    int prepare_narrow(const float* weights, const FirKernels& kernels);
    // What ConvKernels::weights takes of 16 outputs from there on.
    void rows_of(const float* weights, int group, const float** rows) const;

    // Floats, float16 or bfloat16 [matrix][panel][inputs][channels of the panel], where the kernels say so in
    // pairs of inputs; where they are transformed late, taps in place of matrices.
    ncnn::Mat weights_;
    float weight_scale_ = 1.f; // they are times this power of two, which is taken back from the sums
    int weight_rows_ = 0;      // inputs, filled up to whole pairs
    int kept_matrices() const { return late_ ? kernel_h * kernel_w : tiles_.matrices; }
    const float* kept_transform() const { return late_ ? nullptr : tiles_.transform; }

    // Sizes of what the tiles make: of the result, or with up = 2 of what the filter takes.
    int made_h(int h) const { return up == 1 ? out_height(h) : 2 * h + kernel_h - 2; }
    int made_w(int w) const { return up == 1 ? out_width(w) : 2 * w + kernel_w - 2; }
    int border_before(int kernel) const { return pad_top + ((int)filter.size() + 1) / 2 - (kernel - 1); }
};

} // namespace custom_layers
