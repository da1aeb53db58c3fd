// The fast form of Conv. Two ways to share the work:
//
// By tiles: each thread takes blocks of tiles and makes all channels of them; what is between the image and
// the result stays in its caches. By channels: for weights that are larger than the second cache each thread
// takes a part of the output channels, and the transformed tiles are shared, so that the weights are read
// once.
#include "conv.h"

#include <cpu.h>

#include <algorithm>
#include <new>

namespace custom_layers
{
namespace
{
const int64_t kMostFloats = (int64_t)1 << 29; // of a thread's memory
const size_t kLarge = (size_t)16 << 20;       // values of a block that the threads share, in bytes
const int kMostThreads = 1024;
const size_t kMostBlock = (size_t)256 << 20; // values and sums of a thread's block, in bytes

int round_up(int n, int unit) { return (n + unit - 1) / unit * unit; }
} // namespace

class ConvRun
{
public:
    ConvRun(const Conv& conv, const ncnn::Mat& x, ncnn::Mat& top, const ncnn::Option& opt);

    ConvSharing sharing() const;
    int run(const float* scale_in, const float* scale_out, const float* bias, const float* noise,
            const FirActivation& activation);

private:
    // Tiles of a row, side by side.
    struct Segment {
        int row;
        int column;
        int count;
        int at; // of the block
    };

    // The lists that one thread makes, in memory that is there before the threads start: nothing may be
    // thrown in them.
    struct Lists {
        std::vector<Segment> parts;
        std::vector<int> offsets;
    };

    // What one thread works in. `values` may be shared.
    struct Memory {
        float* values;
        float* sums;
        float* rows;  // of the image
        float* made;  // rows of pixels
        float* line;  // one row of pixels, and one more
        float* zeros; // one row
        Lists* lists;
    };

    void plan();
    void allot();
    int64_t thread_floats() const;
    bool is_few() const;
    int few();
    void by_tiles(ncnn::Mat& memory);
    void by_channels(ncnn::Mat& memory);
    void up_by_tiles(ncnn::Mat& memory);

    Memory memory_at(ncnn::Mat& memory, int thread, float* shared);
    void clear(const Memory& m) const;
    const std::vector<Segment>& segments(int first, int last, const Memory& m) const;
    const std::vector<Segment>& segments(int first_row, int rows, int first_column, int columns,
                                         const Memory& m) const;
    void gather(int row, int rows, int column, int columns, int group, float* to, ptrdiff_t row_step,
                const Memory& m) const;
    void fill(const std::vector<Segment>& parts, int group, const Memory& m) const;
    void fill_gathered(const Segment& part, int first, int last, int group, float* to, const Memory& m) const;
    void multiply(const Memory& m, int first_panel, int last_panel, int tiles) const;
    ConvFinish finish_of(int group) const;
    // The result is as the kernels write it, and has all channels of the group.
    bool packed(int group) const
    {
        return top_.elempack == kernels_.pack && (group + 1) * kConvLanes <= conv_.outputs;
    }
    void emit(const std::vector<Segment>& parts, int group, int slot, const Memory& m) const;
    void place(const std::vector<Segment>& parts, int slot, float* ring, const Memory& m) const;
    void filter_rows(int first, int last, int group, const float* ring, const Memory& m) const;
    void store(int group, int row, int column, int pixels, const float* from, const Memory& m) const;

    const Conv& conv_;
    const ConvTiles& t_;
    const FirKernels& fir_;
    const ConvKernels& kernels_;
    const ncnn::Mat& x_;
    ncnn::Mat& top_;
    const ncnn::Option& opt_;
    const float* noise_ = nullptr;
    std::vector<float> scale_in_; // filled up to whole groups of 16
    std::vector<float> scale_out_;
    std::vector<float> bias_;
    FirActivation activation_;
    std::vector<Lists> lists_; // of each thread
    std::vector<int> shifts_;  // of the taps along a row

    int in_groups_, out_groups_, panel_groups_, panels_;
    int tiles_y_, tiles_x_;
    int offset_; // pixels of the border before the image
    int threads_;
    int shares_ = 1;                             // parts of the rows, or of the channels
    bool channels_ = false;                      // by channels
    int block_ = 0;                              // tiles of a block
    int block_rows_ = 1;                         // with up = 2: rows of tiles of a block
    int thread_groups_ = 0;                      // output groups of a thread
    ptrdiff_t value_step_ = 0, values_step_ = 0; // from a value to the next, and from a group to the next
    ptrdiff_t sum_step_ = 0, sums_step_ = 0;
    // The ring of rows that the filter of up = 2 takes: for each group `ring_rows_` of `ring_width_` pixels.
    int ring_rows_ = 0, ring_width_ = 0, ring_left_ = 0, ring_groups_ = 0;
    int64_t values_size_ = 0, sums_size_ = 0, rows_size_ = 0, made_size_ = 0, line_size_ = 0;
};

ConvRun::ConvRun(const Conv& conv, const ncnn::Mat& x, ncnn::Mat& top, const ncnn::Option& opt)
    : conv_(conv), t_(conv.tiles_), fir_(*conv.fir_), kernels_(*conv.kernels_), x_(x), top_(top), opt_(opt)
{
    in_groups_ = (conv.inputs + kConvLanes - 1) / kConvLanes;
    out_groups_ = (conv.outputs + kConvLanes - 1) / kConvLanes;
    plan();
}

void ConvRun::plan()
{
    panel_groups_ = kernels_.panel / kConvLanes;
    panels_ = (out_groups_ + panel_groups_ - 1) / panel_groups_;
    tiles_y_ = (conv_.made_h() + t_.pixels - 1) / t_.pixels;
    tiles_x_ = (conv_.made_w() + t_.pixels - 1) / t_.pixels;
    offset_ = conv_.up == 1 ? conv_.padding : 1;
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
    const int most = (int)(kMostBlock / (values + sums));
    const int least = std::max(1, std::min(columns * (weights < cache        ? 1
                                                      : weights < 12 * cache ? 3
                                                                             : 16),
                                           most));
    const size_t room = (weights < cache ? cache - weights : cache) * 3 / 4;
    int block = std::max((int)(room / (values + sums)) / columns * columns, least);
    // Each thread would read all weights for few tiles.
    channels_ = threads_ > 1 && panels_ >= threads_ &&
                (all < threads_ * 2 * columns || (weights > cache && all < threads_ * 16 * columns) ||
                 (conv_.up == 2 && weights > 4 * cache));
    if (channels_)
        block = conv_.up == 2 ? all : std::max(least, (int)(kLarge / values) / columns * columns);
    else if (all < (int64_t)block * threads_)
        block = std::max(round_up((all + threads_ - 1) / threads_, columns), 1);
    thread_groups_ = (channels_ ? (panels_ + threads_ - 1) / threads_ : panels_) * panel_groups_;
    if (conv_.up == 2 && channels_ &&
        (values * all > 4 * kLarge || sums / out_groups_ * thread_groups_ * all > kMostBlock)) {
        channels_ = false; // the filter wants all rows at once, which would be too much
        thread_groups_ = panels_ * panel_groups_;
    }
    if (conv_.up == 2 && !channels_) {
        block = std::max((int)(room / (values + sums)) / columns * columns, least);
        block_rows_ = std::max(1, std::min(block / tiles_x_, tiles_y_));
        const int parts = (tiles_x_ * block_rows_ + block - 1) / block;
        block = (tiles_x_ + parts - 1) / parts * block_rows_;
    } else {
        block_rows_ = tiles_y_;
        const int blocks = (all + block - 1) / block; // of the same size
        block = std::min(all, round_up((all + blocks - 1) / blocks, columns));
    }
    block_ = block;
    if (channels_)
        shares_ = threads_;
    else if (conv_.up == 2)
        shares_ = std::max(1, std::min(threads_, tiles_y_ / (2 * block_rows_)));
    else
        shares_ = std::min(threads_, (all + block - 1) / block);
    allot();
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
        const int taps = (int)conv_.filter.size();
        const int before = conv_.border_before(conv_.kernel_w);
        ring_left_ = std::max(before, 0);
        // Beside the tiles: what the filter takes of a large border.
        ring_width_ =
            std::max(ring_left_ + tiles_x_ * t_.pixels + taps, ring_left_ - before + top_.w + taps - 1);
        // In whole tiles, so that the rows of one lie behind each other.
        ring_rows_ = channels_ ? tiles_y_ * t_.pixels : block_rows_ * t_.pixels + round_up(taps, t_.pixels);
        ring_groups_ = channels_ ? 1 : out_groups_;
        made_size_ = (int64_t)ring_groups_ * ring_rows_ * ring_width_ * kConvLanes;
    } else {
        made_size_ = (int64_t)row_tiles * t_.pixels * t_.pixels * kConvLanes;
    }
    values_size_ = in_groups_ * values_step_;
    sums_size_ = thread_groups_ * sums_step_;
    rows_size_ = (int64_t)t_.tile_h * row_width * kConvLanes;
    line_size_ = (int64_t)line_width * kConvLanes;
}

int64_t ConvRun::thread_floats() const
{
    return (channels_ ? 0 : values_size_) + sums_size_ + rows_size_ + made_size_ + 3 * line_size_ +
           kConvLanes;
}

ConvRun::Memory ConvRun::memory_at(ncnn::Mat& memory, int thread, float* shared)
{
    float* base = memory.row(thread);
    Memory m;
    m.lists = &lists_[(size_t)thread];
    m.values = shared ? shared : base;
    m.sums = shared ? base : base + values_size_;
    m.rows = m.sums + sums_size_;
    m.made = m.rows + rows_size_;
    m.line = m.made + made_size_;
    m.zeros = m.line + 2 * line_size_;
    return m;
}

void ConvRun::clear(const Memory& m) const
{
    std::fill_n(m.zeros, line_size_, 0.f);
    if (conv_.up == 2)
        std::fill_n(m.made, made_size_, 0.f); // columns beside the image
}

// A 1x1 convolution to few channels, such as a picture's: dot products of pixels, which are read once.
bool ConvRun::is_few() const
{
    return conv_.outputs <= kConvFew && conv_.kernel_h == 1 && conv_.kernel_w == 1 && conv_.up == 1 &&
           conv_.padding == 0 && top_.elempack == 1 && x_.elempack == kernels_.pack;
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
            weights.row(o)[i] = conv_.weights_[(size_t)i * kConvLanes + o] * scale_in_[(size_t)i];
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
            const float scale = scale_out_[(size_t)o];
            const float bias = bias_[(size_t)o];
            for (int i = 0; i < count; i++) {
                float v = from[i] * scale + bias + (noise_ ? noise_[first + i] : 0.f);
                v *= v < 0.f ? activation_.negative : activation_.positive;
                v = v < -activation_.limit ? -activation_.limit : v;
                to[i] = v > activation_.limit ? activation_.limit : v;
            }
        }
    }
    return 0;
}

ConvSharing ConvRun::sharing() const
{
    ConvSharing result = {};
    result.way = is_few()        ? ConvSharing::kFew
                 : channels_     ? ConvSharing::kChannels
                 : conv_.up == 2 ? ConvSharing::kRows
                                 : ConvSharing::kTiles;
    result.threads = threads_;
    result.shares = shares_;
    const int columns = block_ / block_rows_;
    result.strips = result.way == ConvSharing::kRows ? (tiles_x_ + columns - 1) / columns : 1;
    result.bytes = result.way == ConvSharing::kFew
                       ? (int64_t)conv_.outputs * ((int64_t)x_.w * x_.h + conv_.inputs) * 4
                       : (thread_floats() * shares_ + (channels_ ? values_size_ : 0)) * 4;
    return result;
}

int ConvRun::run(const float* scale_in, const float* scale_out, const float* bias, const float* noise,
                 const FirActivation& activation)
{
    scale_in_.assign((size_t)in_groups_ * kConvLanes, 0.f);
    scale_out_.assign((size_t)out_groups_ * kConvLanes, 0.f);
    bias_ = scale_out_;
    std::copy(scale_in, scale_in + conv_.inputs, scale_in_.begin());
    std::copy(scale_out, scale_out + conv_.outputs, scale_out_.begin());
    std::copy(bias, bias + conv_.outputs, bias_.begin());
    noise_ = noise;
    activation_ = activation;
    if (is_few())
        return few();
    const int64_t floats = thread_floats();
    if (floats > kMostFloats || values_size_ > kMostFloats)
        return -1;
    // One piece for each thread, and one for what they share.
    ncnn::Mat memory((int)std::max(floats, channels_ ? values_size_ : 0), shares_ + (channels_ ? 1 : 0),
                     (size_t)4u, opt_.workspace_allocator);
    if (memory.empty())
        return -1;
    lists_.resize((size_t)shares_);
    for (Lists& lists : lists_) {
        lists.parts.reserve((size_t)std::max(block_ / tiles_x_ + 2, block_rows_));
        lists.offsets.resize(conv_.filter.size());
    }
    for (int k = 0; k < (int)conv_.filter.size(); k++)
        shifts_.push_back(k * kConvLanes);
    if (channels_)
        by_channels(memory);
    else if (conv_.up == 2)
        up_by_tiles(memory);
    else
        by_tiles(memory);
    return 0;
}

const std::vector<ConvRun::Segment>& ConvRun::segments(int first, int last, const Memory& m) const
{
    std::vector<Segment>& parts = m.lists->parts;
    parts.clear();
    for (int at = first; at < last;) {
        const int column = at % tiles_x_;
        const int count = std::min(tiles_x_ - column, last - at);
        parts.push_back({at / tiles_x_, column, count, at - first});
        at += count;
    }
    return parts;
}

const std::vector<ConvRun::Segment>& ConvRun::segments(int first_row, int rows, int first_column, int columns,
                                                       const Memory& m) const
{
    std::vector<Segment>& parts = m.lists->parts;
    parts.clear();
    for (int row = 0; row < rows; row++)
        parts.push_back({first_row + row, first_column, columns, row * columns});
    return parts;
}

// Pixels of the image times the scale of their channel, zeros beside it.
void ConvRun::gather(int row, int rows, int column, int columns, int group, float* to, ptrdiff_t row_step,
                     const Memory& m) const
{
    const int pack = x_.elempack;
    const int left = std::min(std::max(-column, 0), columns);
    const int end = std::max(std::min(columns, x_.w - column), left);
    const float* scale = scale_in_.data() + (size_t)group * kConvLanes;
    for (int y = 0; y < rows; y++, to += row_step) {
        const int r = row + y;
        if (r < 0 || r >= x_.h || left == end) {
            std::fill_n(to, (size_t)columns * kConvLanes, 0.f);
            continue;
        }
        const float* from[kConvLanes];
        for (int lane = 0; lane < kConvLanes; lane += pack) {
            const int channel = group * kConvLanes + lane;
            from[lane / pack] = channel < conv_.inputs ? (const float*)x_.data + x_.cstep * (size_t)channel +
                                                             ((size_t)r * x_.w + column + left) * pack
                                                       : m.zeros;
        }
        std::fill_n(to, (size_t)left * kConvLanes, 0.f);
        fir_.gather(from, pack, 0, scale, m.zeros, to + (size_t)left * kConvLanes, end - left);
        std::fill(to + (size_t)end * kConvLanes, to + (size_t)columns * kConvLanes, 0.f);
    }
}

// The values of some tiles, of one group of input channels.
void ConvRun::fill(const std::vector<Segment>& parts, int group, const Memory& m) const
{
    for (const Segment& part : parts) {
        float* to = m.values + group * values_step_ + (ptrdiff_t)part.at * kConvLanes;
        const int row = part.row * t_.step - offset_;
        // Tiles that lie in a packed image are taken from there.
        int inside = part.count, outside = part.count; // [inside, outside) do
        if (x_.elempack == kernels_.pack && (group + 1) * kConvLanes <= conv_.inputs && row >= 0 &&
            row + t_.tile_h <= x_.h) {
            const int room = x_.w - t_.tile_w + offset_; // of the first column of a tile
            inside = std::min(std::max((offset_ + t_.step - 1) / t_.step - part.column, 0), part.count);
            outside =
                room < 0 ? inside : std::max(std::min(room / t_.step - part.column + 1, part.count), inside);
        }
        if (inside < outside) {
            const int column = (part.column + inside) * t_.step - offset_;
            const float* from = (const float*)x_.data + x_.cstep * (size_t)group * kConvLanes +
                                ((size_t)row * x_.w + column) * x_.elempack;
            kernels_.input(t_.scheme, t_.tile_h, t_.tile_w, from, (ptrdiff_t)x_.w * x_.elempack,
                           (ptrdiff_t)x_.cstep * x_.elempack, scale_in_.data() + (size_t)group * kConvLanes,
                           to + (ptrdiff_t)inside * kConvLanes, value_step_, outside - inside);
        }
        fill_gathered(part, 0, inside, group, to, m);
        fill_gathered(part, outside, part.count, group, to, m);
    }
}

// Tiles first to last - 1 of a segment by way of rows with zeros beside the image.
void ConvRun::fill_gathered(const Segment& part, int first, int last, int group, float* to,
                            const Memory& m) const
{
    if (first >= last)
        return;
    to += (ptrdiff_t)first * kConvLanes;
    const int row = part.row * t_.step - offset_;
    const int column = (part.column + first) * t_.step - offset_;
    const int columns = (last - first - 1) * t_.step + t_.tile_w;
    if (t_.values == 1) // as they are
        return gather(row, 1, column, columns, group, to, 0, m);
    const ptrdiff_t row_step = (ptrdiff_t)columns * kConvLanes;
    gather(row, t_.tile_h, column, columns, group, m.rows, row_step, m);
    kernels_.input(t_.scheme, t_.tile_h, t_.tile_w, m.rows, row_step, 0, nullptr, to, value_step_,
                   last - first);
}

// The sums of some panels; the first one of `first_panel` lies at the beginning of m.sums.
void ConvRun::multiply(const Memory& m, int first_panel, int last_panel, int tiles) const
{
    for (const ConvProduct& product : t_.products) {
        const float* matrix = conv_.weights_.row(product.matrix);
        for (int panel = first_panel; panel < last_panel; panel++) {
            const int group = panel * panel_groups_;
            kernels_.gemm(matrix + (size_t)group * kConvLanes * conv_.inputs,
                          std::min(panel_groups_, out_groups_ - group),
                          m.values + product.value * value_step_, values_step_, conv_.inputs,
                          m.sums + product.sum * sum_step_ +
                              (group - first_panel * panel_groups_) * sums_step_,
                          sums_step_, tiles, product.add);
        }
    }
}

ConvFinish ConvRun::finish_of(int group) const
{
    return {scale_out_.data() + (size_t)group * kConvLanes, bias_.data() + (size_t)group * kConvLanes,
            activation_};
}

// Pixels of 16 channels to the result.
void ConvRun::store(int group, int row, int column, int pixels, const float* from, const Memory& m) const
{
    const ConvFinish finish = finish_of(group);
    const size_t at = (size_t)row * top_.w + column;
    const float* noise = noise_ ? noise_ + at : nullptr;
    float* base = (float*)top_.data;
    const int pack = top_.elempack;
    if (packed(group))
        return kernels_.finish_packed(finish, from, noise,
                                      base + top_.cstep * (size_t)group * kConvLanes + at * pack,
                                      (ptrdiff_t)top_.cstep * pack, pixels);
    float* row_of = m.line;
    kernels_.finish(finish, from, noise, row_of, pixels);
    float* to[kConvLanes];
    for (int lane = 0; lane < kConvLanes; lane += pack) {
        const int channel = group * kConvLanes + lane;
        to[lane / pack] =
            channel < conv_.outputs ? base + top_.cstep * (size_t)channel + at * pack : m.line + line_size_;
    }
    fir_.scatter(row_of, to, pack, 0, pixels);
}

// The result of some tiles, of one group of output channels, whose sums are those of `slot`.
void ConvRun::emit(const std::vector<Segment>& parts, int group, int slot, const Memory& m) const
{
    for (const Segment& part : parts) {
        const float* sums = m.sums + slot * sums_step_ + (ptrdiff_t)part.at * kConvLanes;
        const int row = part.row * t_.pixels;
        const int column = part.column * t_.pixels;
        const int rows = std::min(t_.pixels, top_.h - row);
        const int columns = std::min(part.count * t_.pixels, top_.w - column);
        if (t_.sums == 1) { // as they are
            store(group, row, column, columns, sums, m);
            continue;
        }
        // Whole tiles go to a packed result at once.
        const int whole = packed(group) && rows == t_.pixels ? columns / t_.pixels : 0;
        if (whole > 0) {
            const size_t at = (size_t)row * top_.w + column;
            kernels_.output_packed(
                t_.scheme, sums, sum_step_, finish_of(group), noise_ ? noise_ + at : nullptr, top_.w,
                (float*)top_.data + top_.cstep * (size_t)group * kConvLanes + at * top_.elempack,
                (ptrdiff_t)top_.w * top_.elempack, (ptrdiff_t)top_.cstep * top_.elempack, whole);
        }
        const int rest = part.count - whole;
        if (rest == 0)
            continue;
        const ptrdiff_t row_step = (ptrdiff_t)rest * t_.pixels * kConvLanes;
        kernels_.output(t_.scheme, sums + (ptrdiff_t)whole * kConvLanes, sum_step_, m.made, row_step, rest);
        for (int y = 0; y < rows; y++)
            store(group, row + y, column + whole * t_.pixels, columns - whole * t_.pixels,
                  m.made + y * row_step, m);
    }
}

// With up = 2: tiles to the ring of rows.
void ConvRun::place(const std::vector<Segment>& parts, int slot, float* ring, const Memory& m) const
{
    for (const Segment& part : parts) {
        const float* sums = m.sums + slot * sums_step_ + (ptrdiff_t)part.at * kConvLanes;
        float* to = ring + ((ptrdiff_t)(part.row * t_.pixels % ring_rows_) * ring_width_ + ring_left_ +
                            part.column * t_.pixels) *
                               kConvLanes;
        kernels_.output(t_.scheme, sums, sum_step_, to, (ptrdiff_t)ring_width_ * kConvLanes, part.count);
    }
}

// With up = 2: rows first to last - 1 of the result, of one group, from its ring.
void ConvRun::filter_rows(int first, int last, int group, const float* ring, const Memory& m) const
{
    const int taps = (int)conv_.filter.size();
    const int columns = top_.w + taps - 1;
    const int before = conv_.border_before(conv_.kernel_h);
    // The first column that the filter takes; negative ones are zeros in the ring.
    const int left = ring_left_ - conv_.border_before(conv_.kernel_w);
    std::vector<int>& offsets = m.lists->offsets;
    float* column_sums = m.line + line_size_;
    for (int row = first; row < last; row++) {
        for (int k = 0; k < taps; k++) {
            const int y = row + k - before;
            const bool inside = y >= 0 && y < tiles_y_ * t_.pixels;
            offsets[(size_t)k] =
                inside ? (y % ring_rows_ * ring_width_ + left) * kConvLanes : (int)(m.zeros - ring);
        }
        if (taps == 4 && packed(group)) {
            const float* rows[4];
            for (int k = 0; k < 4; k++)
                rows[k] = ring + offsets[(size_t)k];
            const size_t at = (size_t)row * top_.w;
            kernels_.filter_packed(
                rows, conv_.filter.data(), finish_of(group), noise_ ? noise_ + at : nullptr,
                (float*)top_.data + top_.cstep * (size_t)group * kConvLanes + at * top_.elempack,
                (ptrdiff_t)top_.cstep * top_.elempack, top_.w);
            continue;
        }
        fir_.sum({ring, offsets.data(), conv_.filter.data(), taps, 1}, column_sums, 1, columns);
        fir_.sum({column_sums, shifts_.data(), conv_.filter.data(), taps, 1}, m.line, 1, top_.w);
        store(group, row, 0, top_.w, m.line, m);
    }
}

void ConvRun::by_tiles(ncnn::Mat& memory)
{
    const int all = tiles_y_ * tiles_x_;
    const int blocks = (all + block_ - 1) / block_;
#pragma omp parallel num_threads(shares_)
    {
        const Memory m = memory_at(memory, ncnn::get_omp_thread_num(), nullptr);
        clear(m);
#pragma omp for schedule(dynamic)
        for (int b = 0; b < blocks; b++) {
            const int first = b * block_;
            const int last = std::min(first + block_, all);
            const std::vector<Segment>& parts = segments(first, last, m);
            for (int group = 0; group < in_groups_; group++)
                fill(parts, group, m);
            multiply(m, 0, panels_, last - first);
            for (int group = 0; group < out_groups_; group++)
                emit(parts, group, group, m);
        }
    }
}

void ConvRun::by_channels(ncnn::Mat& memory)
{
    const int all = tiles_y_ * tiles_x_;
    float* shared = memory.row(shares_);
    for (int i = 0; i < shares_; i++)
        clear(memory_at(memory, i, shared));
    // Shares of the channels, not threads: there may be fewer threads than were asked for.
#pragma omp parallel num_threads(shares_)
    for (int first = 0; first < all; first += block_) {
        const int last = std::min(first + block_, all);
        const Memory own = memory_at(memory, ncnn::get_omp_thread_num(), shared);
        const std::vector<Segment>& parts = segments(first, last, own);
#pragma omp for schedule(dynamic)
        for (int group = 0; group < in_groups_; group++)
            fill(parts, group, own);
#pragma omp for schedule(static, 1)
        for (int share = 0; share < shares_; share++) {
            const Memory m = memory_at(memory, share, shared);
            const int first_panel = (int)((int64_t)panels_ * share / shares_);
            const int last_panel = (int)((int64_t)panels_ * (share + 1) / shares_);
            const int begin = first_panel * panel_groups_;
            const int end = std::min(last_panel * panel_groups_, out_groups_);
            multiply(m, first_panel, last_panel, last - first);
            for (int group = begin; group < end; group++) {
                if (conv_.up == 1) {
                    emit(parts, group, group - begin, m);
                } else {
                    place(parts, group - begin, m.made, m);
                    filter_rows(0, top_.h, group, m.made, m);
                }
            }
        }
    }
}

// Each thread takes rows of tiles from the top to the bottom, after those whose pixels the filter takes as
// well.
void ConvRun::up_by_tiles(ncnn::Mat& memory)
{
    const int taps = (int)conv_.filter.size();
    const int before = conv_.border_before(conv_.kernel_h);
    const int columns = block_ / block_rows_;
    const ptrdiff_t ring_step = (ptrdiff_t)ring_rows_ * ring_width_ * kConvLanes;
#pragma omp parallel for num_threads(shares_) schedule(static, 1)
    for (int share = 0; share < shares_; share++) {
        const Memory m = memory_at(memory, ncnn::get_omp_thread_num(), nullptr);
        clear(m);
        const int first = (int)((int64_t)tiles_y_ * share / shares_);
        const int end = (int)((int64_t)tiles_y_ * (share + 1) / shares_);
        // Rows of the result: all whose last tap is in these tiles. A long filter leaves none to the first
        // tiles.
        int next = share == 0 ? 0 : std::max(0, first * t_.pixels + before - (taps - 1));
        int row = share == 0 ? 0 : std::max(0, (next - before) / t_.pixels);
        while (row < end) {
            const int rows = std::min(block_rows_, end - row);
            for (int column = 0; column < tiles_x_; column += columns) {
                const int count = std::min(columns, tiles_x_ - column);
                const std::vector<Segment>& parts = segments(row, rows, column, count, m);
                for (int group = 0; group < in_groups_; group++)
                    fill(parts, group, m);
                multiply(m, 0, panels_, rows * count);
                for (int group = 0; group < out_groups_; group++)
                    place(parts, group, m.made + group * ring_step, m);
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

int Conv::run(const ncnn::Mat& x, const float* scale_in, const float* scale_out, const float* bias,
              const float* noise, const FirActivation& activation, ncnn::Mat& top,
              const ncnn::Option& opt) const
{
    try {
        return ConvRun(*this, x, top, opt).run(scale_in, scale_out, bias, noise, activation);
    } catch (const std::bad_alloc&) {
        return -1;
    }
}

ConvSharing Conv::sharing(const ncnn::Mat& x, const ncnn::Mat& top, const ncnn::Option& opt) const
{
    ncnn::Mat to = top;
    return ConvRun(*this, x, to, opt).sharing();
}

} // namespace custom_layers
