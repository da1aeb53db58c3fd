// The fast form of Fir: tiles of some columns, from the top row to the bottom one, 16 channels side by side.
//
//   image -gather-> ring of input rows -column of `up`-> row -row of `up`, activation-> filtered row
//         -row of `down`-> ring of narrow rows -column of `down`-> result -scatter-> top
//
// Every arrow is a weighted sum of rows (FirKernels::sum). Phases: of the taps of `up` only every up-th meets
// a pixel, and which ones repeats every `up` rows or columns. A `down` that is no column times a row is
// summed straight from a ring of filtered rows.
#include "fir.h"

#include <cpu.h>

#include <algorithm>

namespace custom_layers
{
namespace
{
// Columns of a tile: its rings stay in the second cache, and what neighbours compute twice is little.
const int kTileColumns = 96;
// Buffers of one thread, in floats.
const int64_t kMostFloats = 1 << 20;
// What FirKernels::gather multiplies the lanes with.
const float kOnes[kFirLanes] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

// The taps of one phase of a filter, and where they start.
struct Phase {
    int pixel = 0; // that the first tap meets, for position `phase` (each further `up` positions: one more)
    std::vector<int> taps;
};

std::vector<Phase> phases_of(const FirAxis& axis, int taps, int origin)
{
    std::vector<Phase> phases(axis.up);
    for (int q = 0; q < axis.up; q++) {
        const int first = axis.first_tap(origin + q);
        phases[q].pixel = axis.pixel(origin + q, first);
        for (int k = first; k < taps; k += axis.up)
            phases[q].taps.push_back(k);
    }
    return phases;
}

std::vector<float> taps_at(const std::vector<float>& filter, const std::vector<int>& taps)
{
    std::vector<float> values;
    for (int k : taps)
        values.push_back(filter[k]);
    return values;
}

bool is_one(const std::vector<float>& filter) { return filter.size() == 1 && filter[0] == 1.f; }

// What all tiles share.
struct Plan {
    const Fir& fir;
    const FirKernels& kernels;
    const ncnn::Mat& image;
    const float* bias;
    ncnn::Mat& top;

    int columns;       // of the result in a tile
    int bands;         // lanes that a channel gets: with few channels, its rows are shared among them
    int band_rows;     // of the result
    int band_step;     // of the image, from a band to the next
    int groups;        // of 16 lanes
    int input_rows;    // in their ring
    int input_columns; // in a tile, at most
    int filtered_columns;
    int ring_rows; // in the second ring
    int ring_columns;
    int terms; // of the longest sum

    // Buffers of one thread, in pixels, one after the other. A row of a ring takes `stride` pixels.
    int input_stride, filtered_stride, ring_stride;
    int input_at, middle_at, filtered_at, ring_at, folded_at, result_at, zeros_at, unused_at, pixels;

    // The rows of `up` by phase: what they meet, and their taps.
    std::vector<Phase> phases_y;
    std::vector<std::vector<float>> taps_y;

    Plan(const Fir& f, const FirKernels& k, const ncnn::Mat& from, const float* b, ncnn::Mat& to);

    bool filtered_ring() const { return !fir.down.separable; }
};

Plan::Plan(const Fir& f, const FirKernels& k, const ncnn::Mat& from, const float* b, ncnn::Mat& to)
    : fir(f), kernels(k), image(from), bias(b), top(to)
{
    const int tiles = (top.w + kTileColumns - 1) / kTileColumns;
    columns = std::min(((top.w + tiles - 1) / tiles + 7) / 8 * 8, top.w);

    const int channels = outer_size(image);
    // Bands start where the phases do: at rows whose filtered row is a multiple of `up`.
    int unit = 1;
    while ((int64_t)unit * fir.y.down % fir.y.up != 0)
        unit++;
    const int units = (top.h + unit - 1) / unit;
    bands = std::max(1, std::min(kFirLanes / channels, units));
    band_rows = (units + bands - 1) / bands * unit;
    band_step = band_rows / unit * (int)((int64_t)unit * fir.y.down / fir.y.up);
    groups = (channels * bands + kFirLanes - 1) / kFirLanes;

    filtered_columns = (columns - 1) * fir.x.down + fir.down.w;
    input_columns = (filtered_columns + fir.up.w - 2) / fir.x.up + 1;
    ring_columns = filtered_ring() ? filtered_columns : columns;
    // Rows are made two at a time (see Tile::middle_row and Tile::run).
    input_rows = (fir.up.h - 1) / fir.y.up + 2;
    ring_rows = fir.down.h + fir.y.down;
    terms =
        std::max(input_rows * ((fir.up.w - 1) / fir.x.up + 1), std::max(ring_rows, fir.down.h * fir.down.w));

    // An odd number of pixels: with a power of two, all rows would compete for the same few lines of the
    // cache.
    input_stride = input_columns | 1;
    filtered_stride = filtered_columns | 1;
    ring_stride = ring_columns | 1;
    int next = 0;
    const auto take = [&next](int size) { return (next += size) - size; };
    input_at = take(input_rows * input_stride);
    middle_at = take(2 * input_stride);
    filtered_at = take(filtered_stride);
    ring_at = take(ring_rows * ring_stride);
    folded_at = take((kFirMostPixels - 1) * fir.x.down + fir.down.w);
    result_at = take(2 * columns);
    zeros_at = take(input_columns);
    unused_at = take(columns);
    pixels = next;

    phases_y = phases_of(fir.y, fir.up.h, 0);
    for (const Phase& phase : phases_y)
        taps_y.push_back(taps_at(fir.up.column, phase.taps));
}

// One tile of one group of lanes.
class Tile
{
public:
    Tile(const Plan& plan, float* memory) : plan_(plan), fir_(plan.fir), memory_(memory), offsets_(plan.terms)
    {
    }

    void run(int group, int first_column);

private:
    void choose_lanes(int group);
    void choose_columns(int first_column);
    void load_rows(int first, int end);
    void load_row(int row);
    int middle_row(int q);
    const float* filtered_row(int q, float* to);
    void add_filtered_row(int q);
    void result_rows(int o, int count);
    void store_row(int o, const float* from);

    // Offset of a pixel in memory.
    static int at(int pixel) { return pixel * kFirLanes; }
    int input_at(int row) const
    {
        const int slot = row % plan_.input_rows;
        return plan_.input_at + (slot < 0 ? slot + plan_.input_rows : slot) * plan_.input_stride;
    }
    int middle_at(int q) const { return plan_.middle_at + q % 2 * plan_.input_stride; }
    int ring_at(int q) const { return plan_.ring_at + q % plan_.ring_rows * plan_.ring_stride; }

    void sum(const std::vector<float>& taps, float* to, int pixels, int step) const
    {
        plan_.kernels.sum({memory_, offsets_.data(), taps.data(), (int)taps.size(), step}, to, 1, pixels);
    }

    const Plan& plan_;
    const Fir& fir_;
    float* memory_;
    std::vector<int> offsets_;

    // The lanes: their channels (null: not used), and where their bands begin.
    const float* from_[kFirLanes];
    float* to_[kFirLanes];
    int from_row_[kFirLanes];
    int to_row_[kFirLanes];
    float bias_[kFirLanes];

    // The columns.
    int first_input_ = 0;
    int input_columns_ = 0;
    int filtered_columns_ = 0;
    int first_column_ = 0;
    int columns_ = 0;
    int next_input_row_ = 0;
    int ready_ = 0; // a row that was made together with the one before it
    std::vector<Phase> phases_x_;
    std::vector<std::vector<float>>
        taps_x_; // of each phase, or of each pair of phases if `up` is not separable
};

void Tile::choose_lanes(int group)
{
    const int channels = outer_size(plan_.image);
    for (int lane = 0; lane < kFirLanes; lane++) {
        const int index = group * kFirLanes + lane;
        const int channel = index % channels;
        const int band = index / channels;
        const bool used = band < plan_.bands;
        bias_[lane] = used && plan_.bias ? plan_.bias[channel] : 0.f;
        // Only the first lane of an element is looked at.
        from_[lane] = used ? (const float*)plan_.image.data + plan_.image.cstep * channel : nullptr;
        to_[lane] = used ? (float*)plan_.top.data + plan_.top.cstep * channel : nullptr;
        from_row_[lane] = band * plan_.band_step;
        to_row_[lane] = band * plan_.band_rows;
    }
}

void Tile::choose_columns(int first_column)
{
    first_column_ = first_column;
    columns_ = std::min(plan_.columns, plan_.top.w - first_column);
    filtered_columns_ = (columns_ - 1) * fir_.x.down + fir_.down.w;
    const int origin = first_column * fir_.x.down;
    phases_x_ = phases_of(fir_.x, fir_.up.w, origin);

    // The pixels that the tile meets begin with the first one at or after its first position.
    first_input_ = fir_.x.pixel(origin, fir_.x.first_tap(origin));
    const int last = origin + filtered_columns_ - 1 + fir_.up.w - 1; // position in the padded image
    const int back = fir_.x.first_tap(last) == 0 ? 0 : fir_.x.up - fir_.x.first_tap(last);
    input_columns_ = std::max(fir_.x.pixel(last - back, 0) - first_input_ + 1, 0);

    taps_x_.clear();
    if (fir_.up.separable) {
        for (const Phase& phase : phases_x_)
            taps_x_.push_back(taps_at(fir_.up.row, phase.taps));
        return;
    }
    for (const Phase& rows : plan_.phases_y) {
        for (const Phase& columns : phases_x_) {
            taps_x_.emplace_back();
            for (int ky : rows.taps) {
                for (int kx : columns.taps)
                    taps_x_.back().push_back(fir_.up.full[ky * fir_.up.w + kx]);
            }
        }
    }
}

// Rows below `end` into the ring; those above `first` are not needed any more.
void Tile::load_rows(int first, int end)
{
    next_input_row_ = std::max(next_input_row_, first);
    for (; next_input_row_ < end; next_input_row_++)
        load_row(next_input_row_);
}

void Tile::load_row(int row)
{
    const int pack = plan_.image.elempack;
    const float* zeros = memory_ + at(plan_.zeros_at);
    const int left = std::min(std::max(-first_input_, 0), input_columns_);
    const int end = std::max(std::min(input_columns_, plan_.image.w - first_input_), left);
    const float* from[kFirLanes];
    float bias[kFirLanes];
    for (int lane = 0; lane < kFirLanes; lane++) {
        const int first = lane - lane % pack;
        const int64_t r = (int64_t)row + from_row_[first];
        const bool inside = from_[first] && r >= 0 && r < plan_.image.h;
        bias[lane] = inside ? bias_[lane] : 0.f;
        if (lane == first)
            from[lane / pack] =
                inside ? from_[lane] + ((size_t)r * plan_.image.w + first_input_ + left) * pack : zeros;
    }
    float* to = memory_ + at(input_at(row));
    if (left == end) {
        std::fill_n(to, at(input_columns_), 0.f);
        return;
    }
    std::fill_n(to, at(left), 0.f);
    plan_.kernels.gather(from, pack, (ptrdiff_t)plan_.image.w * pack, kOnes, bias, to + at(left), end - left);
    std::fill(to + at(end), to + at(input_columns_), 0.f);
}

// Offset of row q after the columns of `up`.
int Tile::middle_row(int q)
{
    if (q == ready_)
        return middle_at(q);
    const int phase = q % fir_.y.up;
    const int phase_next = (q + 1) % fir_.y.up;
    const std::vector<float>& taps = plan_.taps_y[phase];
    const std::vector<float>& taps_next = plan_.taps_y[phase_next];
    const int first = plan_.phases_y[phase].pixel + q / fir_.y.up;
    const int first_next = plan_.phases_y[phase_next].pixel + (q + 1) / fir_.y.up;
    if (fir_.up.h == 1 && is_one(taps)) {
        load_rows(first, first + 1);
        return input_at(first);
    }
    const int end = first_next + (int)taps_next.size();
    load_rows(first, end);
    for (int row = first; row < end; row++)
        offsets_[row - first] = at(input_at(row));
    const FirPair pair = {memory_,          offsets_.data(),       taps.data(),       taps_next.data(),
                          (int)taps.size(), (int)taps_next.size(), first_next - first};
    plan_.kernels.sum_pair(pair, memory_ + at(middle_at(q)), memory_ + at(middle_at(q + 1)), input_columns_);
    ready_ = q + 1;
    return middle_at(q);
}

// Row q of the filtered and activated image: in `to`, or where it is already.
const float* Tile::filtered_row(int q, float* to)
{
    const int phase = q % fir_.y.up;
    const int first = plan_.phases_y[phase].pixel + q / fir_.y.up;
    const int count = (int)plan_.phases_y[phase].taps.size();
    int from = 0;
    if (fir_.up.separable)
        from = middle_row(q);
    else
        load_rows(first, first + count);
    const bool linear = fir_.activation.identity();
    if (linear && fir_.up.separable && fir_.x.up == 1 && is_one(taps_x_[0]))
        return memory_ + at(from);

    for (int p = 0; p < fir_.x.up; p++) {
        const Phase& columns = phases_x_[p];
        const int shift = columns.pixel - first_input_;
        const std::vector<float>& taps = taps_x_[fir_.up.separable ? p : phase * fir_.x.up + p];
        int term = 0;
        for (int k = 0; k < (fir_.up.separable ? 1 : count); k++) {
            const int row = fir_.up.separable ? from : input_at(first + k);
            for (int j = 0; j < (int)columns.taps.size(); j++)
                offsets_[term++] = at(row + shift + j);
        }
        const int pixels = (filtered_columns_ - p + fir_.x.up - 1) / fir_.x.up;
        const FirSum sum = {memory_, offsets_.data(), taps.data(), term, 1};
        if (linear)
            plan_.kernels.sum(sum, to + at(p), fir_.x.up, pixels);
        else
            plan_.kernels.sum_activate(sum, fir_.activation, to + at(p), fir_.x.up, pixels);
    }
    return to;
}

void Tile::add_filtered_row(int q)
{
    float* slot = memory_ + at(ring_at(q));
    const bool narrow = !plan_.filtered_ring() && !(fir_.x.down == 1 && is_one(fir_.down.row));
    const float* row = filtered_row(q, narrow ? memory_ + at(plan_.filtered_at) : slot);
    if (narrow) {
        for (int k = 0; k < fir_.down.w; k++)
            offsets_[k] = (int)(row - memory_) + at(k);
        sum(fir_.down.row, slot, columns_, fir_.x.down);
    } else if (row != slot) {
        std::copy(row, row + at(filtered_columns_), slot);
    }
}

// Rows o and, if count is 2, o + 1 of the result.
void Tile::result_rows(int o, int count)
{
    const int q = o * fir_.y.down;
    const int h = fir_.down.h;
    float* result = memory_ + at(plan_.result_at);
    float* result_next = result + at(plan_.columns);
    const std::vector<float>& column = fir_.down.column;
    if (fir_.down.separable && !is_one(column)) {
        const int shift = count == 2 ? fir_.y.down : 0;
        for (int k = 0; k < h + shift; k++)
            offsets_[k] = at(ring_at(q + k));
        if (count == 2)
            plan_.kernels.sum_pair({memory_, offsets_.data(), column.data(), column.data(), h, h, shift},
                                   result, result_next, columns_);
        else
            sum(column, result, columns_, 1);
        store_row(o, result);
        if (count == 2)
            store_row(o + 1, result_next);
        return;
    }
    if (!fir_.down.separable && fir_.down.mirrored) {
        for (int k = 0; k < h + (count - 1) * fir_.y.down; k++)
            offsets_[k] = at(ring_at(q + k));
        const FirFold fold = {memory_, offsets_.data(), fir_.down.full.data(), memory_ + at(plan_.folded_at),
                              h,       fir_.down.w,     fir_.x.down,           fir_.y.down};
        plan_.kernels.sum_folded(fold, result, count == 2 ? result_next : nullptr, columns_);
        store_row(o, result);
        if (count == 2)
            store_row(o + 1, result_next);
        return;
    }
    for (int i = 0; i < count; i++) {
        const int first = q + i * fir_.y.down;
        if (fir_.down.separable) {
            store_row(o + i, memory_ + at(ring_at(first)));
            continue;
        }
        int term = 0;
        for (int k = 0; k < h; k++) {
            for (int j = 0; j < fir_.down.w; j++)
                offsets_[term++] = at(ring_at(first + k) + j);
        }
        plan_.kernels.sum({memory_, offsets_.data(), fir_.down.full.data(), term, fir_.x.down}, result, 1,
                          columns_);
        store_row(o + i, result);
    }
}

void Tile::store_row(int o, const float* from)
{
    const int pack = plan_.image.elempack;
    float* to[kFirLanes];
    for (int lane = 0; lane < kFirLanes; lane += pack) {
        const int row = o + to_row_[lane];
        to[lane / pack] = to_[lane] && row < plan_.top.h
                              ? to_[lane] + ((size_t)row * plan_.top.w + first_column_) * pack
                              : memory_ + at(plan_.unused_at);
    }
    plan_.kernels.scatter(from, to, pack, (ptrdiff_t)plan_.top.w * pack, columns_);
}

void Tile::run(int group, int first_column)
{
    choose_lanes(group);
    choose_columns(first_column);
    std::fill_n(memory_ + at(plan_.zeros_at), at(plan_.input_columns), 0.f);
    next_input_row_ = INT_MIN;
    ready_ = -1;
    int next = 0;
    for (int o = 0; o < plan_.band_rows; o += 2) {
        const int count = std::min(2, plan_.band_rows - o);
        for (int i = 0; i < count; i++) {
            const int q = (o + i) * fir_.y.down;
            for (next = std::max(next, q); next < q + fir_.down.h; next++)
                add_filtered_row(next);
        }
        result_rows(o, count);
    }
}
} // namespace

int run_fir_tiles(const Fir& fir, const FirKernels& kernels, const ncnn::Mat& image, const float* bias,
                  ncnn::Mat& top, const ncnn::Option& opt)
{
    const Plan plan(fir, kernels, image, bias, top);
    const int64_t floats = (int64_t)plan.pixels * kFirLanes;
    if (floats > kMostFloats)
        return 1;
    const int tiles = (top.w + plan.columns - 1) / plan.columns;
    const int64_t items = (int64_t)plan.groups * tiles;
    const int threads = (int)std::max<int64_t>(std::min<int64_t>(opt.num_threads, items), 1);
    ncnn::Mat memory((int)floats, threads, 4u, opt.workspace_allocator);
    if (memory.empty())
        return -1;

#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int64_t item = 0; item < items; item++) {
        Tile tile(plan, memory.row(ncnn::get_omp_thread_num()));
        tile.run((int)(item / tiles), (int)(item % tiles) * plan.columns);
    }
    return 0;
}

} // namespace custom_layers
