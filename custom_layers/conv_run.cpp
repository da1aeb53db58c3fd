#include "conv_run.h"
#include "fir.h"

#include <cpu.h>

namespace custom_layers
{

int ConvRun::run()
{
    const int in = in_groups_ * kConvLanes;
    const int out = out_groups_ * kConvLanes;
    factors_.create(in + 3 * out, (size_t)4u, opt_.workspace_allocator);
    if (factors_.empty())
        return -1;
    factors_.fill(0.f);
    scale_in_ = factors_;
    scale_out_ = scale_in_ + in;
    bias_ = scale_out_ + out;
    negative_ = bias_ + out;
    const auto copy = [](const float* from, float all, int count, float* to) {
        if (from)
            std::copy(from, from + count, to);
        else
            std::fill_n(to, count, all);
    };
    copy(a_.scale_in, 1.f, conv_.inputs, scale_in_);
    copy(a_.scale_out, 1.f, conv_.outputs, scale_out_);
    copy(a_.bias, 0.f, conv_.outputs, bias_);
    copy(a_.negative, a_.activation.negative, conv_.outputs, negative_);
    if (is_few())
        return few();
    if (take_memory() != 0)
        return -1;
    if (channels_)
        by_channels();
    else if (conv_.up == 2)
        up_by_tiles();
    else
        by_tiles();
    return 0;
}

// A 1x1 convolution to few channels, such as a picture's: dot products of pixels, which are read once.
bool ConvRun::is_few() const
{
    return conv_.outputs <= kConvFew && conv_.kernel_h == 1 && conv_.kernel_w == 1 && conv_.up == 1 &&
           top_.w == x_.w && top_.h == x_.h && top_.elempack == 1 && x_.elempack == kernels_.pack &&
           a_.parts == 1 && !a_.negative && !a_.residual;
}

int ConvRun::few()
{
    const int pixels = x_.w * x_.h;
    const int parts = conv_.inputs / x_.elempack;
    ncnn::Mat weights(conv_.inputs, conv_.outputs, (size_t)4u, opt_.workspace_allocator);
    ncnn::Mat sums(pixels, conv_.outputs, (size_t)4u, opt_.workspace_allocator);
    if (weights.empty() || sums.empty())
        return -1;
    // The matrix is [inputs, 16]: one panel, as there is one group.
    for (int o = 0; o < conv_.outputs; o++) {
        for (int i = 0; i < conv_.inputs; i++)
            weights.row(o)[i] = conv_.weights_[(size_t)i * kConvLanes + o] * scale_in_[i];
    }
    const int block = 256;
    const int blocks = (pixels + block - 1) / block;
    const int threads = std::min(threads_, blocks);
#pragma omp parallel for num_threads(threads)
    for (int b = 0; b < blocks; b++) {
        const int first = b * block;
        const int count = std::min(block, pixels - first);
        kernels_.dots(weights, conv_.outputs, (const float*)x_.data + (size_t)first * x_.elempack,
                      (ptrdiff_t)x_.cstep * x_.elempack, parts, (float*)sums + first, pixels, count);
        for (int o = 0; o < conv_.outputs; o++) {
            const float* from = (const float*)sums + (size_t)o * pixels + first;
            float* to = (float*)top_.data + top_.cstep * (size_t)o + first;
            const float scale = scale_out_[o];
            const float bias = bias_[o];
            for (int i = 0; i < count; i++) {
                const float v = from[i] * scale + bias + (a_.noise ? a_.noise[first + i] : 0.f);
                to[i] = activate(a_.activation, v) + 0.f;
            }
        }
    }
    return 0;
}

void ConvRun::by_tiles() const
{
    const int all = tiles_y_ * tiles_x_;
    const int blocks = (all + block_ - 1) / block_;
#pragma omp parallel num_threads(shares_)
    {
        const Memory m = memory_of(ncnn::get_omp_thread_num());
        clear(m);
#pragma omp for schedule(dynamic)
        for (int b = 0; b < blocks; b++) {
            const int first = b * block_;
            const int last = std::min(first + block_, all);
            const Block block = tiles(first, last);
            for (int group = 0; group < in_groups_; group++)
                fill(block, group, m);
            multiply(m, 0, panels_, last - first);
            for (int group = 0; group < out_groups_; group++)
                emit(block, group, group, m);
        }
    }
}

void ConvRun::by_channels() const
{
    const int all = tiles_y_ * tiles_x_;
    for (int i = 0; i < shares_; i++)
        clear(memory_of(i));
    // Shares of the channels, not threads: there may be fewer threads than were asked for.
#pragma omp parallel num_threads(shares_)
    for (int first = 0; first < all; first += block_) {
        const int last = std::min(first + block_, all);
        const Block block = tiles(first, last);
#pragma omp for schedule(dynamic)
        for (int group = 0; group < in_groups_; group++)
            fill(block, group, memory_of(ncnn::get_omp_thread_num()));
#pragma omp for schedule(static, 1)
        for (int share = 0; share < shares_; share++) {
            const Memory m = memory_of(share);
            const int first_panel = (int)((int64_t)panels_ * share / shares_);
            const int last_panel = (int)((int64_t)panels_ * (share + 1) / shares_);
            const int begin = first_panel * panel_groups_;
            const int end = std::min(last_panel * panel_groups_, out_groups_);
            multiply(m, first_panel, last_panel, last - first);
            for (int group = begin; group < end; group++) {
                if (conv_.up == 1) {
                    emit(block, group, group - begin, m);
                } else {
                    place(block, group - begin, m.made, m);
                    filter_rows(0, top_.h, group, m.made, m);
                }
            }
        }
    }
}

// Each thread takes rows of tiles from the top to the bottom, after those whose pixels the filter takes as
// well.
void ConvRun::up_by_tiles() const
{
    const int taps = (int)conv_.filter.size();
    const int before = conv_.border_before(conv_.kernel_h);
    const int columns = block_ / block_rows_;
    const ptrdiff_t ring_step = (ptrdiff_t)ring_rows_ * ring_width_ * kConvLanes;
#pragma omp parallel for num_threads(shares_) schedule(static, 1)
    for (int share = 0; share < shares_; share++) {
        const Memory m = memory_of(ncnn::get_omp_thread_num());
        clear(m);
        const int first = (int)((int64_t)tiles_y_ * share / shares_);
        const int end = (int)((int64_t)tiles_y_ * (share + 1) / shares_);
        // Rows of the result: all whose last tap is in these tiles. A long filter leaves none to the first
        // tiles.
        int next = share == 0 ? 0 : std::max(first * t_.pixels + before - (taps - 1), 0);
        int row = share == 0 ? 0 : std::max(0, (next - before) / t_.pixels);
        while (row < end) {
            const int rows = std::min(block_rows_, end - row);
            for (int column = 0; column < tiles_x_; column += columns) {
                const int count = std::min(columns, tiles_x_ - column);
                const Block block = {row, column, rows * count, column, column + count};
                for (int group = 0; group < in_groups_; group++)
                    fill(block, group, m);
                multiply(m, 0, panels_, rows * count);
                for (int group = 0; group < out_groups_; group++)
                    place(block, group, m.made + group * ring_step, m);
            }
            row += rows;
            int last = row * t_.pixels + before - (taps - 1);
            if (row == tiles_y_)
                last = top_.h;
            last = std::min(last, top_.h);
            for (int group = 0; group < out_groups_; group++)
                filter_rows(next, last, group, m.made + group * ring_step, m);
            next = std::max(next, last);
        }
    }
}

ConvSharing ConvRun::sharing() const
{
    if (is_few())
        return {ConvSharing::kFew, threads_, 1, 1,
                (int64_t)conv_.outputs * ((int64_t)x_.w * x_.h + conv_.inputs) * 4};
    const int columns = block_ / block_rows_;
    const bool rows = conv_.up == 2 && !channels_;
    return {channels_ ? ConvSharing::kChannels
            : rows    ? ConvSharing::kRows
                      : ConvSharing::kTiles,
            threads_, shares_, rows ? (tiles_x_ + columns - 1) / columns : 1, floats() * 4};
}

int Conv::run(const ConvArguments& arguments, ncnn::Mat& top, const ncnn::Option& opt) const
{
    return ConvRun(*this, arguments, top, opt).run();
}

ConvSharing Conv::sharing(const ConvArguments& arguments, const ncnn::Mat& top, const ncnn::Option& opt) const
{
    ncnn::Mat to = top;
    return ConvRun(*this, arguments, to, opt).sharing();
}

} // namespace custom_layers
