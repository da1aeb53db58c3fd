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
    for (int o = 0; o < conv_.outputs; o++)
        scale_out_[o] /= conv_.weight_scale_;
    copy(a_.bias, 0.f, conv_.outputs, bias_);
    copy(a_.negative, a_.activation.negative, conv_.outputs, negative_);
    if (is_few())
        return few();
    if (take_memory() != 0)
        return -1;
    if (cut_.way == ConvSharing::kSteps)
        share_steps();
    else if (cut_.way == ConvSharing::kChannels)
        share_channels();
    else if (cut_.way == ConvSharing::kRows)
        share_rows();
    else
        share_tiles();
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
    // As many as threads want, of whole vectors.
    const int threads = std::max(1, std::min(opt_.num_threads, pixels));
    const int block = std::min(std::max((pixels / (2 * threads) + 15) / 16 * 16, 32), 256);
    const int blocks = (pixels + block - 1) / block;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
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

void ConvRun::share_tiles() const
{
    const int all = tiles_y_ * tiles_x_;
    const int blocks = (all + cut_.block - 1) / cut_.block;
#pragma omp parallel num_threads(cut_.threads)
    {
        const Memory m = memory_of(ncnn::get_omp_thread_num());
        clear(m);
#pragma omp for schedule(dynamic)
        for (int b = 0; b < blocks; b++) {
            const int first = b * cut_.block;
            const int last = std::min(first + cut_.block, all);
            const Block block = tiles(first, last);
            for (int group = 0; group < in_groups_; group++)
                fill(block, group, m);
            multiply(m, 0, panels_, last - first);
            for (int group = 0; group < out_groups_; group++)
                emit(block, group, group, m);
        }
    }
}

void ConvRun::share_channels() const
{
    const int all = tiles_y_ * tiles_x_;
#pragma omp parallel num_threads(cut_.threads)
    {
        const Memory m = memory_of(ncnn::get_omp_thread_num());
        clear(m);
        for (int first = 0; first < all; first += cut_.block) {
            const int last = std::min(first + cut_.block, all);
            const Block block = tiles(first, last);
#pragma omp for schedule(dynamic)
            for (int group = 0; group < in_groups_; group++)
                fill(block, group, m);
#pragma omp for schedule(dynamic)
            for (int share = 0; share < cut_.shares; share++) {
                const int first_panel = (int)((int64_t)panels_ * share / cut_.shares);
                const int last_panel = (int)((int64_t)panels_ * (share + 1) / cut_.shares);
                const int begin = first_panel * panel_groups_;
                const int end = std::min(last_panel * panel_groups_, out_groups_);
                multiply(m, first_panel, last_panel, last - first);
                for (int group = begin; group < end; group++) {
                    if (conv_.up == 1) {
                        emit(block, group, group - begin, m);
                    } else {
                        place(block, group - begin, {m.made, ring_rows_}, m);
                        filter_rows(0, top_.h, group, {m.made, ring_rows_}, m);
                    }
                }
            }
        }
    }
}

// The filter takes rows of two shares around their border: both keep them in a seam, which is filtered when
// all shares are done.
void ConvRun::share_rows() const
{
    const int taps = (int)conv_.filter.size();
    const int before = conv_.border_before(conv_.kernel_h);
    const int columns = cut_.block / cut_.block_rows;
    const ptrdiff_t row_step = (ptrdiff_t)ring_width_ * kConvLanes;
    const ptrdiff_t ring_step = ring_rows_ * row_step;
    const auto border = [this](int share) { return (int)((int64_t)tiles_y_ * share / cut_.shares); };
    const auto seam_of = [&](int share, int group, const Memory& m) {
        return Ring{m.seams + share * seam_size_ + group * seam_rows_ * row_step, seam_rows_};
    };
#pragma omp parallel num_threads(cut_.threads)
    {
        const Memory m = memory_of(ncnn::get_omp_thread_num());
        clear(m);
        // Made rows first to last - 1, of which the block has some, to the seam behind a share.
        const auto keep = [&](int share, int first, int last) {
            for (int group = 0; group < out_groups_; group++) {
                const Ring seam = seam_of(share, group, m);
                for (int y = first; y < last; y++)
                    std::copy_n(m.made + group * ring_step + y % ring_rows_ * row_step, row_step,
                                seam.data + y % seam_rows_ * row_step);
            }
        };
#pragma omp for schedule(dynamic)
        for (int share = 0; share < cut_.shares; share++) {
            const int first = border(share), end = border(share + 1);
            const int first_made = first * t_.pixels, end_made = end * t_.pixels;
            // Rows of the result: all whose taps are in these tiles.
            int next = share == 0 ? 0 : std::max(first_made + before, 0);
            for (int row = first; row < end;) {
                const int rows = std::min(cut_.block_rows, end - row);
                for (int column = 0; column < tiles_x_; column += columns) {
                    const int count = std::min(columns, tiles_x_ - column);
                    const Block block = {row, column, rows * count, column, column + count};
                    for (int group = 0; group < in_groups_; group++)
                        fill(block, group, m);
                    multiply(m, 0, panels_, rows * count);
                    for (int group = 0; group < out_groups_; group++)
                        place(block, group, {m.made + group * ring_step, ring_rows_}, m);
                }
                const int made = row * t_.pixels;
                row += rows;
                const int until = row * t_.pixels;
                if (share > 0)
                    keep(share - 1, made, std::min(until, first_made + taps - 1));
                if (share < cut_.shares - 1)
                    keep(share, std::max(made, end_made - (taps - 1)), until);
                const int last = row == tiles_y_ ? top_.h : std::min(until + before - (taps - 1), top_.h);
                for (int group = 0; group < out_groups_; group++)
                    filter_rows(next, last, group, {m.made + group * ring_step, ring_rows_}, m);
                next = std::max(next, last);
            }
        }
        const int seams = (cut_.shares - 1) * out_groups_;
#pragma omp for schedule(dynamic)
        for (int i = 0; i < seams; i++) {
            const int share = i / out_groups_, group = i % out_groups_;
            const int end = border(share + 1) * t_.pixels + before; // of the rows of the result
            filter_rows(std::max(end - (taps - 1), 0), std::min(end, top_.h), group, seam_of(share, group, m),
                        m);
        }
    }
}

// Each step is cut into pieces of tiles and channels, and the products of Winograd's forms also into sums.
void ConvRun::share_steps() const
{
    const int all = tiles_y_ * tiles_x_;
    std::vector<int> sets; // where each begins; those of one add to the same sum
    for (size_t i = 0; i < t_.products.size(); i++) {
        if (!t_.products[i].add)
            sets.push_back((int)i);
    }
    sets.push_back((int)t_.products.size());
    const ptrdiff_t row_step = (ptrdiff_t)ring_width_ * kConvLanes;
    const ptrdiff_t ring_step = ring_rows_ * row_step;
    // f(a piece's channels, its first item, the end of its items)
    const auto piece = [](int i, int parts, int items, const auto& f) {
        const int part = i % parts;
        f(i / parts, (int)((int64_t)items * part / parts), (int)((int64_t)items * (part + 1) / parts));
    };
#pragma omp parallel num_threads(cut_.threads)
    {
        const Memory m = memory_of(ncnn::get_omp_thread_num());
        clear(m);
        const auto from = [&m](int tile) {
            Memory moved = m;
            moved.values += (ptrdiff_t)tile * kConvLanes;
            moved.sums += (ptrdiff_t)tile * kConvLanes;
            return moved;
        };
        const int rows = conv_.late() ? t_.points : 0; // of the transform
#pragma omp for schedule(dynamic) nowait
        for (int i = 0; i < rows * out_groups_; i++) {
            const int point = i / out_groups_, group = i % out_groups_;
            transform(point, group, group + 1,
                      m.weights + point * rows * late_step_ + (ptrdiff_t)group * conv_.inputs * kConvLanes);
        }
        for (int begin = 0; begin < all; begin += cut_.block) {
            const int count = std::min(cut_.block, all - begin);
#pragma omp for schedule(dynamic)
            for (int i = 0; i < in_groups_ * cut_.fills; i++) {
                piece(i, cut_.fills, count, [&](int group, int first, int last) {
                    fill(tiles(begin + first, begin + last), group, from(first));
                });
            }
#pragma omp for schedule(dynamic)
            for (int i = 0; i < sets_ * panels_ * cut_.products; i++) {
                piece(i, cut_.products, count, [&](int what, int first, int last) {
                    const int set = what / panels_, panel = what % panels_;
                    const int slot = panel * panel_groups_;
                    for (int p = sets[set]; first < last && p < sets[set + 1]; p++) {
                        const float* late = nullptr;
                        if (conv_.late())
                            late = m.weights + t_.products[p].matrix * late_step_ +
                                   (ptrdiff_t)slot * conv_.inputs * kConvLanes;
                        multiply(t_.products[p], panel, late, from(first), slot, last - first);
                    }
                });
            }
#pragma omp for schedule(dynamic)
            for (int i = 0; i < out_groups_ * cut_.stores; i++) {
                piece(i, cut_.stores, count, [&](int group, int first, int last) {
                    const Block block = tiles(begin + first, begin + last);
                    if (conv_.up == 1)
                        return emit(block, group, group, from(first));
                    float* ring = m.made + group * ring_step;
                    if (first == 0) { // columns beside the image
                        for (int y = 0; y < ring_rows_; y++, ring += row_step) {
                            const ptrdiff_t left = (ptrdiff_t)ring_left_ * kConvLanes;
                            const ptrdiff_t right = left + (ptrdiff_t)tiles_x_ * t_.pixels * kConvLanes;
                            std::fill_n(ring, left, 0.f);
                            std::fill(ring + right, ring + row_step, 0.f);
                        }
                    }
                    place(block, group, {m.made + group * ring_step, ring_rows_}, from(first));
                });
            }
        }
        if (conv_.up == 2) {
#pragma omp for schedule(dynamic)
            for (int i = 0; i < out_groups_ * cut_.stores; i++) {
                piece(i, cut_.stores, top_.h, [&](int group, int first, int last) {
                    filter_rows(first, last, group, {m.made + group * ring_step, ring_rows_}, m);
                });
            }
        }
    }
}

ConvSharing ConvRun::sharing() const
{
    const int threads = std::max(1, opt_.num_threads);
    if (is_few())
        return {ConvSharing::kFew,
                threads,
                1,
                1,
                (int64_t)conv_.outputs * ((int64_t)x_.w * x_.h + conv_.inputs) * 4,
                1};
    const int columns = cut_.block / cut_.block_rows;
    const bool rows = cut_.way == ConvSharing::kRows;
    return {cut_.way,     cut_.threads, cut_.shares, rows ? (tiles_x_ + columns - 1) / columns : 1,
            floats() * 4, speed_};
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
