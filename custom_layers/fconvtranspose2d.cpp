#include "fconvtranspose2d.h"

#include "param_ids.h"

#include <cpu.h>

#include <algorithm>
#include <string.h>

namespace custom_layers
{

// The product of w and some rows of x is kept near this size, so that it is still in the cache when it is
// added to the output, and so that memory does not grow with the image.
static const size_t kBlockBytes = 4 << 20;
// With fewer columns than this, repacking w for every product would cost more than it saves.
static const int kBlockColumns = 256;

int FconvTranspose2d::load_param(const ncnn::ParamDict& pd)
{
    using P = param::FconvTranspose2d;
    ParamReader reader(*this, pd);
    num_output_ = reader.integer(P::num_output, "num_output", 0, 1);
    num_input_ = reader.integer(P::num_input, "num_input", 0, 0);
    group_ = reader.integer(P::group, "group", 1, 1);
    bias_term_ = reader.integer(P::bias_term, "bias_term", 0, 0, 1) != 0;
    const int weight_data_size = reader.integer(P::weight_data_size, "weight_data_size", 0, 1);
    // Large enough for any network, small enough that sizes computed from them fit an int.
    const int most = 1 << 15;
    x_.kernel = reader.integer(P::kernel_w, "kernel_w", 0, 1, most);
    y_.kernel = reader.integer(P::kernel_h, "kernel_h", x_.kernel, 1, most);
    x_.dilation = reader.integer(P::dilation_w, "dilation_w", 1, 1, most);
    y_.dilation = reader.integer(P::dilation_h, "dilation_h", x_.dilation, 1, most);
    x_.stride = reader.integer(P::stride_w, "stride_w", 1, 1, most);
    y_.stride = reader.integer(P::stride_h, "stride_h", x_.stride, 1, most);
    x_.pad_before = reader.integer(P::pad_left, "pad_left", 0, 0, most);
    x_.pad_after = reader.integer(P::pad_right, "pad_right", x_.pad_before, 0, most);
    y_.pad_before = reader.integer(P::pad_top, "pad_top", x_.pad_before, 0, most);
    y_.pad_after = reader.integer(P::pad_bottom, "pad_bottom", y_.pad_before, 0, most);
    x_.output_pad = reader.integer(P::output_pad_right, "output_pad_right", 0, 0, most);
    y_.output_pad = reader.integer(P::output_pad_bottom, "output_pad_bottom", x_.output_pad, 0, most);
    if (reader.status() != 0)
        return -1;
    ncnns_order_ = num_input_ == 0;
    if (ncnns_order_)
        num_input_ = (int)std::min<int64_t>(
            (int64_t)(weight_data_size / y_.kernel / x_.kernel / num_output_) * group_, INT_MAX);
    if (num_input_ % group_ != 0 || num_output_ % group_ != 0)
        return fail(*this, "expects num_input and num_output divisible by group, got %d, %d, %d", num_input_,
                    num_output_, group_);
    // In double, which is exact as far as int goes and cannot overflow.
    if ((double)num_input_ * (num_output_ / group_) * y_.kernel * x_.kernel != weight_data_size)
        return fail(
            *this,
            "expects weight_data_size = num_input * num_output / group * kernel_h * kernel_w, got %d for "
            "%d * %d / %d * %d * %d",
            weight_data_size, num_input_, num_output_, group_, y_.kernel, x_.kernel);
    if (activation_.load(*this, reader, P::activation_type, P::activation_params) != 0)
        return -1;
    const int inputs = bias_term_ ? 3 : 2;
    return check_io(*this, inputs, inputs, 1, 1);
}

int FconvTranspose2d::create_pipeline(const ncnn::Option& opt)
{
    if (gemm_.create(true, false, opt) != 0)
        return fail(*this, "needs ncnn's Gemm, which this ncnn was built without");
    return 0;
}

int FconvTranspose2d::destroy_pipeline(const ncnn::Option& opt)
{
    gemm_.destroy(opt);
    return 0;
}

int64_t FconvTranspose2d::Axis::output(int n) const
{
    return (int64_t)(n - 1) * stride + (int64_t)dilation * (kernel - 1) + 1 + output_pad - pad_before -
           pad_after;
}

int FconvTranspose2d::check(const std::vector<ncnn::Mat>& blobs) const
{
    const int inputs = bias_term_ ? 3 : 2;
    if (check_blobs(*this, blobs, inputs, inputs) != 0)
        return -1;
    const ncnn::Mat& x = blobs[0];
    const ncnn::Mat& w = blobs[1];
    const int outer = ncnns_order_ ? num_output_ : num_input_;
    const int inner = (ncnns_order_ ? num_input_ : num_output_) / group_;
    if (x.dims != 3 || x.c != num_input_ || w.dims != 4 || w.c != outer || w.d != inner || w.h != y_.kernel ||
        w.w != x_.kernel)
        return fail(*this, "expects x of [%d, H, W] and w of [%d, %d, %d, %d], got %s", num_input_, outer,
                    inner, y_.kernel, x_.kernel, shape_string(blobs).c_str());
    if (bias_term_ && (blobs[2].dims != 1 || blobs[2].w != num_output_))
        return fail(*this, "expects b of [%d], got %s", num_output_, shape_string(blobs).c_str());
    const int64_t outw = x_.output(x.w);
    const int64_t outh = y_.output(x.h);
    if (outw < 1 || outh < 1 || outw > INT_MAX / 4 || outh > INT_MAX / 4)
        return fail(
            *this, "an output of [%d, %lld, %lld] is impossible: too much padding, or too large, for x of %s",
            num_output_, (long long)outh, (long long)outw, shape_string(x).c_str());
    if (!gemm_.created())
        return fail(*this, "create_pipeline was not called");
    return 0;
}

struct FconvTranspose2d::Block {
    ncnn::Mat
        columns; // [channels * kernel_h * kernel_w, rows * input width]: every tap's share of the output
    int first_channel; // of the output
    int channels;      // of the output, in this group
    int width;         // of the input
    int row, rows;     // of the input
    int started,
        to_row; // output rows below `started` hold earlier blocks' sums; this block starts up to `to_row`
    const float* bias; // or null
};

// Output pixels x = phase + stride * n, n < count: those that taps of one phase reach.
static int phase_count(int out, int stride, int phase)
{
    return phase < out ? (out - phase - 1) / stride + 1 : 0;
}

// Writes or adds `stride` rows of phases, `step` apart, as one row of pixels.
template <bool add>
static void interleave(const float* phases, size_t step, int stride, float base, float* to, int out)
{
    if (stride == 2) {
        const float* even = phases;
        const float* odd = phases + step;
        for (int i = 0; i < out / 2; i++) {
            to[2 * i] = (add ? to[2 * i] : base) + even[i];
            to[2 * i + 1] = (add ? to[2 * i + 1] : base) + odd[i];
        }
        if (out % 2)
            to[out - 1] = (add ? to[out - 1] : base) + even[out / 2];
        return;
    }
    for (int phase = 0; phase < stride; phase++) {
        const float* from = phases + step * phase;
        const int count = phase_count(out, stride, phase);
        for (int i = 0; i < count; i++)
            to[phase + i * stride] = (add ? to[phase + i * stride] : base) + from[i];
    }
}

// Sums the taps of one output row phase by phase, so that the inner loops run over contiguous pixels whatever
// the stride, and then interleaves the phases.
void FconvTranspose2d::add_block(const Block& block, ncnn::Mat& top, ncnn::Mat& scratch,
                                 const ncnn::Option& opt) const
{
    const int stride = x_.stride;
    const size_t step = scratch.w / stride;
    const int from_row = std::max(block.row * y_.stride + y_.start(0), 0);

#pragma omp parallel for num_threads(opt.num_threads)
    for (int p = 0; p < block.channels; p++) {
        float* phases = scratch.row(ncnn::get_omp_thread_num());
        float* out = top.channel(block.first_channel + p);
        const float base = block.bias ? block.bias[block.first_channel + p] : 0.f;
        for (int y = std::min(from_row, block.started); y < block.to_row; y++) {
            memset(phases, 0, scratch.w * sizeof(float));
            for (int ky = 0; ky < y_.kernel; ky++) {
                const int above = y - y_.start(ky);
                const int row = above / y_.stride - block.row;
                if (above < 0 || above % y_.stride != 0 || row < 0 || row >= block.rows)
                    continue;
                for (int kx = 0; kx < x_.kernel; kx++) {
                    const int start = x_.start(kx);
                    const int phase = ((start % stride) + stride) % stride;
                    const int shift = (start - phase) / stride;
                    const int begin = std::max(0, -shift);
                    const int end = std::min(block.width, phase_count(top.w, stride, phase) - shift);
                    const float* from =
                        block.columns.row((p * y_.kernel + ky) * x_.kernel + kx) + (size_t)row * block.width;
                    float* to = phases + step * phase;
                    for (int i = begin; i < end; i++)
                        to[i + shift] += from[i];
                }
            }
            float* to = out + (size_t)y * top.w;
            if (y < block.started)
                interleave<true>(phases, step, stride, 0.f, to, top.w);
            else
                interleave<false>(phases, step, stride, base, to, top.w);
        }
    }
}

// [num_output, num_input / group, kernel_h, kernel_w] as [num_input, num_output / group, kernel_h, kernel_w];
// empty if out of memory.
ncnn::Mat FconvTranspose2d::in_torchs_order(const ncnn::Mat& w, const ncnn::Option& opt) const
{
    const int in = num_input_ / group_, out = num_output_ / group_;
    const size_t taps = (size_t)w.w * w.h;
    ncnn::Mat turned(w.w, w.h, out, num_input_, 4u, opt.workspace_allocator);
    if (turned.empty())
        return turned;
#pragma omp parallel for num_threads(opt.num_threads)
    for (int i = 0; i < num_input_; i++)
        for (int o = 0; o < out; o++)
            memcpy((float*)turned.data + turned.cstep * i + taps * o,
                   (const float*)w.data + w.cstep * (i / in * out + o) + taps * (i % in),
                   taps * sizeof(float));
    return turned;
}

int FconvTranspose2d::forward(const std::vector<ncnn::Mat>& bottom_blobs, std::vector<ncnn::Mat>& top_blobs,
                              const ncnn::Option& opt) const
{
    if (check(bottom_blobs) != 0)
        return -1;
    const ncnn::Mat& x = bottom_blobs[0];
    const ncnn::Mat w = ncnns_order_ ? in_torchs_order(bottom_blobs[1], opt) : bottom_blobs[1];
    if (w.empty())
        return fail(*this, "out of memory for %s", shape_string(bottom_blobs).c_str());
    const int outw = (int)x_.output(x.w);
    const int outh = (int)y_.output(x.h);
    ncnn::Mat& top = top_blobs[0];
    top.create(outw, outh, num_output_, 4u, opt.blob_allocator);
    ncnn::Mat scratch((phase_count(outw, x_.stride, 0)) * x_.stride, std::max(opt.num_threads, 1), 4u,
                      opt.workspace_allocator);
    if (top.empty() || scratch.empty())
        return fail(*this, "out of memory for [%d, %d, %d]", num_output_, outh, outw);

    const int in = num_input_ / group_;
    const int channels = num_output_ / group_;
    const int taps = channels * y_.kernel * x_.kernel;
    const size_t row_bytes = (size_t)taps * x.w * sizeof(float);
    const int rows =
        (int)std::min<size_t>(x.h, std::max<size_t>(kBlockBytes / row_bytes, kBlockColumns / x.w + 1));
    ncnn::Option workspace = opt;
    workspace.blob_allocator = opt.workspace_allocator;

    for (int g = 0; g < group_; g++) {
        const ncnn::Mat weight = matrix_view((const float*)w.data + w.cstep * in * g, in, taps, w.cstep);
        Block block = {};
        block.first_channel = g * channels;
        block.channels = channels;
        block.width = x.w;
        block.bias = bias_term_ ? (const float*)bottom_blobs[2] : nullptr;
        for (int row = 0; row < x.h; row += rows) {
            block.row = row;
            block.rows = std::min(rows, x.h - row);
            const float* values = (const float*)x.data + x.cstep * in * g + (size_t)row * x.w;
            if (gemm_.run({weight, matrix_view(values, in, block.rows * x.w, x.cstep)}, block.columns,
                          workspace) != 0)
                return fail(*this, "ncnn's Gemm failed for %s", shape_string(bottom_blobs).c_str());
            const int last = (row + block.rows - 1) * y_.stride + y_.start(y_.kernel - 1);
            block.to_row = row + rows >= x.h ? outh : std::min(std::max(last + 1, block.started), outh);
            add_block(block, top, scratch, opt);
            block.started = block.to_row;
        }
    }
    activation_.apply(top, opt);
    return 0;
}

} // namespace custom_layers
