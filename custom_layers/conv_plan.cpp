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
const size_t kEach = (size_t)4 << 20;        // more of them for each thread, where a filter wants all rows
const int kMostParts = 8;                    // of the tiles, for one piece of work in steps
// What reading a pixel to a value, or making one of a sum, costs beside a multiplication with addition: a
// third of the time of 64 channels at 512 x 512.
const double kPixel = 30;
// What a panel of weights costs to load, in tiles.
const int kLoad = 2;
// Between the steps threads wait, and what one has made another reads: a guess, which lets the other ways
// stand where they give all threads work.
const double kSteps = 1.05;

int round_up(int n, int unit) { return (n + unit - 1) / unit * unit; }
int divide_up(int n, int by) { return (n + by - 1) / by; }

// The share of the thread that has most of so many equal pieces.
double largest(int64_t pieces, int threads)
{
    return (double)((pieces + threads - 1) / threads) / (double)pieces;
}

// Into how many parts each of `pieces` is best cut.
int parts_of(int pieces, int threads, int most)
{
    int best = 1;
    for (int parts = 2; parts <= std::min(kMostParts, most); parts++) {
        if (largest((int64_t)pieces * parts, threads) < largest((int64_t)pieces * best, threads) - 1e-9)
            best = parts;
    }
    return best;
}
} // namespace

ConvRun::ConvRun(const Conv& conv, const ConvArguments& arguments, ncnn::Mat& top, const ncnn::Option& opt)
    : conv_(conv), t_(conv.tiles_), fir_(*conv.fir_), kernels_(*conv.kernels_), a_(arguments),
      x_(arguments.x[0]), top_(top), opt_(opt)
{
    in_groups_ = (conv.inputs + kConvLanes - 1) / kConvLanes;
    out_groups_ = (conv.outputs + kConvLanes - 1) / kConvLanes;
    panel_groups_ = kernels_.panel / kConvLanes;
    panels_ = divide_up(out_groups_, panel_groups_);
    tiles_y_ = divide_up(conv_.made_h(x_.h), t_.pixels);
    tiles_x_ = divide_up(conv_.made_w(x_.w), t_.pixels);
    offset_y_ = conv_.up == 1 ? conv_.pad_top : 1;
    offset_x_ = conv_.up == 1 ? conv_.pad_left : 1;
    for (const ConvProduct& product : t_.products)
        sets_ += !product.add;
    plan();
}

// The cut whose busiest thread has least to do. With more threads that is never more, as fewer may be used.
void ConvRun::plan()
{
    cut_ = usual(1);
    const double alone = cut_.cost;
    for (int threads = 2; threads <= std::min(opt_.num_threads, kMostThreads); threads++) {
        for (const Cut& cut : {usual(threads), steps(threads)}) {
            if (cut.cost > 0 && cut.cost < cut_.cost)
                cut_ = cut;
        }
    }
    speed_ = alone / cut_.cost;
    allot();
}

// Output groups of a thread, of so many that share the panels.
int ConvRun::share_groups(int shares) const { return divide_up(panels_, shares) * panel_groups_; }

// What a tile costs: to be read, to be multiplied, to be written.
double ConvRun::reading() const { return kPixel * t_.values * in_groups_ * kConvLanes; }
double ConvRun::multiplying() const
{
    return (double)t_.products.size() * in_groups_ * kConvLanes * out_groups_ * kConvLanes;
}
double ConvRun::writing() const { return kPixel * t_.sums * out_groups_ * kConvLanes; }

// What all weights cost to be transformed, where that is late: for each block anew.
double ConvRun::transforming() const
{
    return conv_.late() ? t_.late_work() * conv_.inputs * out_groups_ * kConvLanes : 0;
}

// What a block takes of them.
size_t ConvRun::weight_bytes() const
{
    const size_t each = (size_t)conv_.inputs * out_groups_ * kConvLanes * sizeof(float);
    return conv_.late() ? t_.matrices * each : conv_.weight_bytes();
}

// By tiles, rows or channels.
ConvRun::Cut ConvRun::usual(int threads) const
{
    const int all = tiles_y_ * tiles_x_;
#if defined(__wasm__)
    const size_t cache = 1024 * 1024; // nobody there says what the machine has
#else
    const size_t cache = (size_t)std::max(ncnn::get_cpu_level2_cache_size(), 256 * 1024);
#endif
    const size_t weights = weight_bytes();
    const size_t values = (size_t)t_.values * in_groups_ * kConvLanes * sizeof(float); // of a tile
    const size_t sums = (size_t)t_.sums * out_groups_ * kConvLanes * sizeof(float);
    const int columns = kernels_.columns;
    threads = std::min(threads, std::max(all, panels_));

    // Weights that stay in the second cache with a block serve any block; others are read for each block
    // anew, which a block of some size has to repay. Measured on a cache of 2 MB, with 16 to 1024 channels of
    // 4 to 532 pixels.
    const int repaid = columns * (weights < cache ? 1 : weights < 12 * cache ? 3 : 16);
    const int least = std::max(1, std::min(repaid, (int)(kMostBlock / (values + sums))));
    const size_t room = (weights < cache ? cache - weights : cache) * 3 / 4;
    const int block = std::max((int)(room / (values + sums)) / columns * columns, least);
    const int panel_shares = std::min(threads, panels_);
    const size_t share_sums = sums / out_groups_ * share_groups(panel_shares);
    // The filter of up = 2 wants all rows at once, which may be too much.
    const bool possible =
        threads > 1 &&
        (conv_.up == 1 || (values * all <= 4 * kLarge && share_sums * all <= (size_t)kMostBlock));
    // Each thread would read all weights for few tiles.
    const bool wanted = all < threads * 2 * columns || (weights > cache && all < threads * 16 * columns) ||
                        (conv_.up == 2 && weights > 4 * cache);
    const int shared = conv_.up == 2 ? all : std::max(least, (int)(kLarge / values) / columns * columns);
    if (possible && wanted && panels_ >= threads)
        return by_channels(threads, shared);
    const Cut cut = conv_.up == 2 ? by_rows(threads, block) : by_tiles(threads, block, least);
    // There are more panels than blocks, although there are fewer than threads.
    return possible && cut.threads < panel_shares ? by_channels(threads, shared) : cut;
}

ConvRun::Cut ConvRun::by_tiles(int threads, int block, int least) const
{
    const int all = tiles_y_ * tiles_x_;
    if (all < (int64_t)block * threads)
        block = std::max(round_up(divide_up(all, threads), kernels_.columns), 1);
    Cut cut;
    cut.way = ConvSharing::kTiles;
    cut.block_rows = tiles_y_;
    cut.groups = panels_ * panel_groups_;
    // Blocks of the same size; as many for each thread, where that leaves them large enough.
    const int blocks = divide_up(all, block);
    int64_t least_of_all = INT64_MAX;
    int mine = 1; // blocks of a thread
    for (int count : {blocks, round_up(blocks, threads)}) {
        const int size = std::min(all, round_up(divide_up(all, count), kernels_.columns));
        const int sharing = std::min(threads, divide_up(all, size));
        const int each = divide_up(divide_up(all, size), sharing);
        const int64_t most = (int64_t)each * size;
        if (most < least_of_all && (count == blocks || size >= least)) {
            least_of_all = most;
            mine = each;
            cut.block = size;
            cut.shares = cut.threads = sharing;
        }
    }
    cut.cost = (double)std::min<int64_t>(least_of_all, all) * (reading() + multiplying() + writing()) +
               mine * transforming();
    return cut;
}

ConvRun::Cut ConvRun::by_rows(int threads, int block) const
{
    Cut cut;
    cut.way = ConvSharing::kRows;
    // The rows around the border of two shares are of these two alone.
    const int least = std::max(1, divide_up((int)conv_.filter.size() - 1, t_.pixels)); // rows of a share
    const int most = std::max(1, tiles_y_ / least);
    cut.threads = std::min(threads, most);
    // Several shares a thread, as by channels.
    int rows = tiles_y_; // of the thread that has most
    if (threads > 1) {
        rows = INT_MAX;
        for (int each : {4, 3, 2, 1}) {
            const int shares = std::min(cut.threads * each, most);
            const int mine = divide_up(tiles_y_, shares) * divide_up(shares, cut.threads);
            if (mine < rows) {
                rows = mine;
                cut.shares = shares;
            }
        }
    }
    cut.block_rows = std::max(1, std::min(block / tiles_x_, tiles_y_ / cut.shares));
    const int strips = divide_up(tiles_x_ * cut.block_rows, block);
    cut.block = divide_up(tiles_x_, strips) * cut.block_rows;
    cut.groups = panels_ * panel_groups_;
    const int blocks = divide_up(divide_up(tiles_y_, cut.shares), cut.block_rows) * strips; // of a share
    cut.cost = (double)std::min(rows, tiles_y_) * tiles_x_ * (reading() + multiplying() + writing()) +
               (double)divide_up(cut.shares, cut.threads) * blocks * transforming();
    return cut;
}

// Values of so many tiles are shared.
ConvRun::Cut ConvRun::by_channels(int threads, int block) const
{
    const int all = tiles_y_ * tiles_x_;
    const int blocks = divide_up(all, block); // of the same size
    Cut cut;
    cut.way = ConvSharing::kChannels;
    cut.threads = std::min(threads, panels_);
    // Several shares a thread, which may take more of them where another is held up, if none has more panels
    // then.
    int mine = INT_MAX; // panels of the thread that has most
    for (int each : {4, 3, 2, 1}) {
        const int shares = std::min(cut.threads * each, panels_);
        const int panels = divide_up(panels_, shares) * divide_up(shares, cut.threads);
        if (panels < mine) {
            mine = panels;
            cut.shares = shares;
        }
    }
    cut.block = std::min(all, round_up(divide_up(all, blocks), kernels_.columns));
    cut.block_rows = tiles_y_;
    cut.groups = share_groups(cut.shares);
    const double most = std::min(1.0, (double)mine / panels_);
    cut.cost = all * (reading() * largest(in_groups_, cut.threads) + (multiplying() + writing()) * most) +
               blocks * transforming() * most;
    return cut;
}

// Without cost where it wants too much memory.
ConvRun::Cut ConvRun::steps(int threads) const
{
    const int all = tiles_y_ * tiles_x_;
    const size_t values = (size_t)t_.values * in_groups_ * kConvLanes * sizeof(float); // of a tile
    const size_t sums = (size_t)t_.sums * panels_ * panel_groups_ * kConvLanes * sizeof(float);
    const size_t made = (size_t)t_.pixels * t_.pixels * out_groups_ * kConvLanes * sizeof(float);
    Cut cut;
    cut.way = ConvSharing::kSteps;
    cut.shares = cut.threads = threads;
    cut.groups = panels_ * panel_groups_;
    cut.block_rows = tiles_y_;
    cut.block = all;
    if (conv_.up == 2) {
        if ((double)(values + sums + made) * all > (double)(4 * kLarge + threads * kEach))
            return cut;
    } else {
        const int most = std::max((int)(2 * kLarge / (values + sums)), kernels_.columns);
        cut.block = std::min(all, round_up(divide_up(all, divide_up(all, most)), kernels_.columns));
    }
    cut.fills = parts_of(in_groups_, threads, cut.block);
    cut.stores = parts_of(out_groups_, threads, cut.block);
    // A part of the tiles reads the weights anew.
    const auto tiles = [this](int count) { return count + kLoad * divide_up(count, kernels_.columns); };
    double product = 0;
    for (int parts = 1; parts <= std::min(kMostParts, cut.block); parts++) {
        const double pieces = (double)divide_up(sets_ * panels_ * parts, threads) / (sets_ * panels_);
        const double mine = pieces * tiles(divide_up(cut.block, parts)) / tiles(cut.block);
        if (parts == 1 || mine < product - 1e-9) {
            product = mine;
            cut.products = parts;
        }
    }
    cut.cost = kSteps * all *
               (reading() * largest((int64_t)in_groups_ * cut.fills, threads) + multiplying() * product +
                writing() * largest((int64_t)out_groups_ * cut.stores, threads));
    if (conv_.late())
        cut.cost += kSteps * transforming() * largest((int64_t)out_groups_ * t_.points, threads);
    return cut;
}

// Sizes of the memory.
void ConvRun::allot()
{
    const bool in_steps = cut_.way == ConvSharing::kSteps;
    const bool shared = in_steps || cut_.way == ConvSharing::kChannels; // values
    // All values of a group side by side: what a tile writes and reads then lies in few pages. One pixel
    // between the groups, as with a power of two they would compete for the same few lines of the cache.
    value_step_ = sum_step_ = (ptrdiff_t)cut_.block * kConvLanes;
    values_step_ = t_.values * value_step_ + kConvLanes;
    sums_step_ = t_.sums * sum_step_ + kConvLanes;
    const int row_tiles = std::min(tiles_x_, cut_.block);
    const int row_width = (row_tiles - 1) * t_.step + t_.tile_w;
    const int taps = (int)conv_.filter.size();
    const int line_width = std::max(std::max(row_width, top_.w + taps), row_tiles * t_.pixels);
    if (conv_.up == 2) {
        ring_left_ = std::max(conv_.border_before(conv_.kernel_w), 0);
        const int left = ring_left_ - conv_.border_before(conv_.kernel_w); // the first column that is taken
        ring_width_ = std::max(ring_left_ + tiles_x_ * t_.pixels, left + top_.w + taps - 1);
        // In whole tiles, so that the rows of one lie behind each other.
        const bool rows = cut_.way == ConvSharing::kRows;
        ring_rows_ = rows ? cut_.block_rows * t_.pixels + round_up(taps, t_.pixels) : tiles_y_ * t_.pixels;
        ring_groups_ = cut_.way == ConvSharing::kChannels ? 1 : out_groups_;
        made_size_ = (int64_t)ring_groups_ * ring_rows_ * ring_width_ * kConvLanes;
        if (rows) {
            seam_rows_ = 2 * (taps - 1);
            seam_size_ = (int64_t)out_groups_ * seam_rows_ * ring_width_ * kConvLanes;
        }
    } else {
        made_size_ = (int64_t)row_tiles * t_.pixels * t_.pixels * kConvLanes;
    }
    values_size_ = in_groups_ * values_step_;
    sums_size_ = cut_.groups * sums_step_;
    if (conv_.late()) { // between matrices as between the groups of values
        late_step_ = (ptrdiff_t)cut_.groups * kConvLanes * conv_.inputs + kConvLanes;
        late_size_ = (int64_t)late_step_ * (in_steps ? t_.matrices : t_.points);
    }
    rows_size_ = (int64_t)t_.tile_h * row_width * kConvLanes;
    line_size_ = (int64_t)line_width * kConvLanes;

    const bool made_shared = in_steps && conv_.up == 2;
    common_size_ = (shared ? values_size_ : 0) + (in_steps ? sums_size_ + late_size_ : 0) +
                   (made_shared ? made_size_ : 0) + (cut_.shares - 1) * seam_size_;
    piece_size_ = (shared ? 0 : values_size_) + (in_steps ? 0 : sums_size_ + late_size_) + rows_size_ +
                  (made_shared ? 0 : made_size_) + 4 * line_size_;
    // Fewer threads are better than none, where a layer is large and the threads are many.
    const int64_t most = std::max<int64_t>(1, (kMostFloats - common_size_) / piece_size_);
    cut_.threads = (int)std::min<int64_t>(cut_.threads, most);
}

int64_t ConvRun::floats() const { return cut_.threads * piece_size_ + common_size_; }

int ConvRun::take_memory()
{
    if (floats() > kMostFloats)
        return -1;
    memory_.create((int)floats(), (size_t)4u, opt_.workspace_allocator);
    return memory_.empty() ? -1 : 0;
}

ConvRun::Memory ConvRun::memory_of(int thread) const
{
    const bool in_steps = cut_.way == ConvSharing::kSteps;
    float* common = (float*)memory_.data;
    float* piece = common + common_size_ + thread * piece_size_;
    const auto take = [&](bool shared, int64_t size) {
        float*& from = shared ? common : piece;
        float* taken = from;
        from += size;
        return taken;
    };
    Memory m;
    m.values = take(in_steps || cut_.way == ConvSharing::kChannels, values_size_);
    m.sums = take(in_steps, sums_size_);
    m.weights = take(in_steps, late_size_);
    m.made = take(in_steps && conv_.up == 2, made_size_);
    m.seams = common;
    m.rows = take(false, rows_size_);
    m.line = take(false, 4 * line_size_);
    m.zeros = m.line + 3 * line_size_;
    return m;
}

// Zeros before anything else: a row of them, and columns beside the image.
void ConvRun::clear(const Memory& m) const
{
    std::fill_n(m.zeros, line_size_, 0.f);
    if (conv_.up == 2 && cut_.way != ConvSharing::kSteps)
        std::fill_n(m.made, made_size_, 0.f);
}

} // namespace custom_layers
