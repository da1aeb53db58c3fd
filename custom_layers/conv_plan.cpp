#include "conv_run.h"

#include <cpu.h>

namespace custom_layers
{
namespace
{
const int64_t kMostFloats = INT_MAX; // of the memory of all threads
const int kMostThreads = 1024;
const size_t kMostBlock = (size_t)256 << 20; // values and sums of a thread's block, in bytes
const size_t kLarge = (size_t)16 << 20;      // values of a block that the threads share, in bytes

int round_up(int n, int unit) { return (n + unit - 1) / unit * unit; }
} // namespace

ConvRun::ConvRun(const Conv& conv, const ConvArguments& arguments, ncnn::Mat& top, const ncnn::Option& opt)
    : conv_(conv), t_(conv.tiles_), fir_(*conv.fir_), kernels_(*conv.kernels_), a_(arguments),
      x_(arguments.x[0]), top_(top), opt_(opt)
{
    in_groups_ = (conv.inputs + kConvLanes - 1) / kConvLanes;
    out_groups_ = (conv.outputs + kConvLanes - 1) / kConvLanes;
    plan();
}

void ConvRun::plan()
{
    panel_groups_ = kernels_.panel / kConvLanes;
    panels_ = (out_groups_ + panel_groups_ - 1) / panel_groups_;
    tiles_y_ = (conv_.made_h(x_.h) + t_.pixels - 1) / t_.pixels;
    tiles_x_ = (conv_.made_w(x_.w) + t_.pixels - 1) / t_.pixels;
    offset_y_ = conv_.up == 1 ? conv_.pad_top : 1;
    offset_x_ = conv_.up == 1 ? conv_.pad_left : 1;
    const int all = tiles_y_ * tiles_x_;
    const size_t cache = (size_t)std::max(ncnn::get_cpu_level2_cache_size(), 256 * 1024);
    const size_t weights = conv_.weights_.total() * sizeof(float);
    const size_t values = (size_t)t_.values * in_groups_ * kConvLanes * sizeof(float); // of a tile
    const size_t sums = (size_t)t_.sums * out_groups_ * kConvLanes * sizeof(float);
    const int columns = kernels_.columns;
    threads_ = std::min({std::max(1, opt_.num_threads), std::max(all, panels_), kMostThreads});

    // Weights that stay in the second cache with a block serve any block; others are read for each block
    // anew, which a block of some size has to repay. Measured on a cache of 2 MB, with 16 to 1024 channels of
    // 4 to 532 pixels.
    const int repaid = columns * (weights < cache ? 1 : weights < 12 * cache ? 3 : 16);
    const int least = std::max(1, std::min(repaid, (int)(kMostBlock / (values + sums))));
    const size_t room = (weights < cache ? cache - weights : cache) * 3 / 4;
    int block = std::max((int)(room / (values + sums)) / columns * columns, least);
    const int panel_shares = std::min(threads_, panels_);
    const size_t share_sums = sums / out_groups_ * share_groups(panel_shares);
    // The filter of up = 2 wants all rows at once, which may be too much.
    const bool possible =
        threads_ > 1 &&
        (conv_.up == 1 || (values * all <= 4 * kLarge && share_sums * all <= (size_t)kMostBlock));
    // Each thread would read all weights for few tiles.
    const bool wanted = all < threads_ * 2 * columns || (weights > cache && all < threads_ * 16 * columns) ||
                        (conv_.up == 2 && weights > 4 * cache);
    channels_ = possible && wanted && panels_ >= threads_;
    const int largest = (int)(kLarge / values) / columns * columns;
    share(block, std::max(least, largest));
    // There are more panels than blocks, although there are fewer than threads.
    if (possible && shares_ < panel_shares) {
        channels_ = true;
        share(block, std::max(least, largest));
    }
    allot();
}

// Output groups of a thread, of so many that share the panels.
int ConvRun::share_groups(int shares) const { return (panels_ + shares - 1) / shares * panel_groups_; }

// Blocks and shares: of `block` tiles at least by tiles, of `largest` at most by channels.
void ConvRun::share(int block, int largest)
{
    const int columns = kernels_.columns;
    const int all = tiles_y_ * tiles_x_;
    thread_groups_ = channels_ ? share_groups(std::min(threads_, panels_)) : panels_ * panel_groups_;
    if (conv_.up == 2 && !channels_) {
        block_rows_ = std::max(1, std::min(block / tiles_x_, tiles_y_));
        // Each thread has two blocks or more. That weights are read more often costs less than threads
        // without work.
        const int most = std::min(threads_, tiles_y_ / 2);
        if (most > 1)
            block_rows_ = std::min(block_rows_, tiles_y_ / (2 * most));
        const int strips = (tiles_x_ * block_rows_ + block - 1) / block;
        block_ = (tiles_x_ + strips - 1) / strips * block_rows_;
    } else {
        if (channels_)
            block = conv_.up == 2 ? all : largest;
        else if (all < (int64_t)block * threads_)
            block = std::max(round_up((all + threads_ - 1) / threads_, columns), 1);
        const int blocks = (all + block - 1) / block; // of the same size
        block_ = std::min(all, round_up((all + blocks - 1) / blocks, columns));
        block_rows_ = tiles_y_;
    }
    if (channels_)
        shares_ = std::min(threads_, panels_);
    else if (conv_.up == 2)
        shares_ = std::max(1, std::min(threads_, tiles_y_ / (2 * block_rows_)));
    else
        shares_ = std::min(threads_, (all + block_ - 1) / block_);
}

// Sizes of the memory.
void ConvRun::allot()
{
    // All values of a group side by side: what a tile writes and reads then lies in few pages. One pixel
    // between the groups, as with a power of two they would compete for the same few lines of the cache.
    value_step_ = sum_step_ = (ptrdiff_t)block_ * kConvLanes;
    values_step_ = t_.values * value_step_ + kConvLanes;
    sums_step_ = t_.sums * sum_step_ + kConvLanes;
    const int row_tiles = std::min(tiles_x_, block_);
    const int row_width = (row_tiles - 1) * t_.step + t_.tile_w;
    const int line_width =
        std::max(std::max(row_width, top_.w + (int)conv_.filter.size()), row_tiles * t_.pixels);
    if (conv_.up == 2) {
        ring_left_ = std::max(conv_.border_before(conv_.kernel_w), 0);
        const int left = ring_left_ - conv_.border_before(conv_.kernel_w); // the first column that is taken
        ring_width_ =
            std::max(ring_left_ + tiles_x_ * t_.pixels, left + top_.w + (int)conv_.filter.size() - 1);
        // In whole tiles, so that the rows of one lie behind each other.
        ring_rows_ = channels_ ? tiles_y_ * t_.pixels
                               : block_rows_ * t_.pixels + round_up((int)conv_.filter.size(), t_.pixels);
        ring_groups_ = channels_ ? 1 : out_groups_;
        made_size_ = (int64_t)ring_groups_ * ring_rows_ * ring_width_ * kConvLanes;
    } else {
        made_size_ = (int64_t)row_tiles * t_.pixels * t_.pixels * kConvLanes;
    }
    values_size_ = in_groups_ * values_step_;
    sums_size_ = thread_groups_ * sums_step_;
    rows_size_ = (int64_t)t_.tile_h * row_width * kConvLanes;
    line_size_ = (int64_t)line_width * kConvLanes;

    piece_size_ = sums_size_ + rows_size_ + made_size_ + 4 * line_size_ + (channels_ ? 0 : values_size_);
    // Fewer threads are better than none, where a layer is large and the threads are many.
    if (!channels_)
        shares_ = (int)std::max<int64_t>(1, std::min<int64_t>(shares_, kMostFloats / piece_size_));
}

int64_t ConvRun::floats() const { return shares_ * piece_size_ + (channels_ ? values_size_ : 0); }

int ConvRun::take_memory()
{
    if (floats() > kMostFloats)
        return -1;
    memory_.create((int)floats(), (size_t)4u, opt_.workspace_allocator);
    return memory_.empty() ? -1 : 0;
}

ConvRun::Memory ConvRun::memory_of(int thread) const
{
    float* piece = (float*)memory_.data + thread * piece_size_;
    Memory m;
    m.values = channels_ ? (float*)memory_.data : piece;
    m.sums = piece + values_size_; // of the threads' own pieces, or behind what they share
    m.rows = m.sums + sums_size_;
    m.made = m.rows + rows_size_;
    m.line = m.made + made_size_;
    m.zeros = m.line + 3 * line_size_;
    return m;
}

void ConvRun::clear(const Memory& m) const
{
    std::fill_n(m.zeros, line_size_, 0.f);
    if (conv_.up == 2)
        std::fill_n(m.made, made_size_, 0.f); // columns beside the image
}

} // namespace custom_layers
