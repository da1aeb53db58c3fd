#include "conv_run.h"
#include "fir.h"

namespace custom_layers
{
namespace
{
struct Ones {
    Ones() { std::fill_n(values, (int)kConvLanes, 1.f); }
    float values[kConvLanes];
};
} // namespace

const ncnn::Mat& ConvRun::part_of(int& group) const
{
    int part = 0;
    for (; part + 1 < a_.parts && group >= outer_size(a_.x[part]) / kConvLanes; part++)
        group -= outer_size(a_.x[part]) / kConvLanes;
    return a_.x[part];
}

// Pixels of the image times the scale of their channel, zeros beside it.
void ConvRun::gather(int row, int rows, int column, int columns, int group, float* to, ptrdiff_t row_step,
                     const Memory& m) const
{
    const float* scale = scale_in_ + (size_t)group * kConvLanes;
    const ncnn::Mat& x = part_of(group);
    const int pack = x.elempack;
    const int left = std::min(std::max(-column, 0), columns);
    const int end = std::max(std::min(columns, x.w - column), left);
    for (int y = 0; y < rows; y++, to += row_step) {
        const int r = row + y;
        if (r < 0 || r >= x.h || left == end) {
            std::fill_n(to, (size_t)columns * kConvLanes, 0.f);
            continue;
        }
        const float* from[kConvLanes];
        for (int lane = 0; lane < kConvLanes; lane += pack) {
            const int channel = group * kConvLanes + lane;
            from[lane / pack] = channel < outer_size(x) ? (const float*)x.data + x.cstep * (size_t)channel +
                                                              ((size_t)r * x.w + column + left) * pack
                                                        : m.zeros;
        }
        std::fill_n(to, (size_t)left * kConvLanes, 0.f);
        fir_.gather(from, pack, 0, scale, m.zeros, to + (size_t)left * kConvLanes, end - left);
        std::fill(to + (size_t)end * kConvLanes, to + (size_t)columns * kConvLanes, 0.f);
    }
}

// The values of some tiles, of one group of input channels.
void ConvRun::fill(const Block& block, int group, const Memory& m) const
{
    int of_part = group;
    const ncnn::Mat& x = part_of(of_part);
    const float* scale = a_.scale_in ? scale_in_ + (size_t)group * kConvLanes : nullptr;
    block.each([&](const Segment& part) {
        float* to = m.values + group * values_step_ + (ptrdiff_t)part.at * kConvLanes;
        const int row = part.row * t_.step - offset_y_;
        // Tiles that lie in a packed image are taken from there.
        int inside = part.count, outside = part.count; // [inside, outside) do
        if (x.elempack == kernels_.pack && (of_part + 1) * kConvLanes <= outer_size(x) && row >= 0 &&
            row + t_.tile_h <= x.h) {
            const int room = x.w - t_.tile_w + offset_x_; // of the first column of a tile
            inside = std::min(std::max((offset_x_ + t_.step - 1) / t_.step - part.column, 0), part.count);
            outside =
                room < 0 ? inside : std::max(std::min(room / t_.step - part.column + 1, part.count), inside);
        }
        if (inside < outside) {
            const int column = (part.column + inside) * t_.step - offset_x_;
            const float* from = (const float*)x.data + x.cstep * (size_t)of_part * kConvLanes +
                                ((size_t)row * x.w + column) * x.elempack;
            kernels_.input(t_.scheme, t_.tile_h, t_.tile_w, from, (ptrdiff_t)x.w * x.elempack,
                           (ptrdiff_t)x.cstep * x.elempack, scale, to + (ptrdiff_t)inside * kConvLanes,
                           value_step_, outside - inside);
        }
        fill_gathered(part, 0, inside, group, to, m);
        fill_gathered(part, outside, part.count, group, to, m);
    });
}

// Tiles first to last - 1 of a segment by way of rows with zeros beside the image.
void ConvRun::fill_gathered(const Segment& part, int first, int last, int group, float* to,
                            const Memory& m) const
{
    if (first >= last)
        return;
    to += (ptrdiff_t)first * kConvLanes;
    const int row = part.row * t_.step - offset_y_;
    const int column = (part.column + first) * t_.step - offset_x_;
    const int columns = (last - first - 1) * t_.step + t_.tile_w;
    if (t_.values == 1) // as they are
        return gather(row, 1, column, columns, group, to, 0, m);
    const ptrdiff_t row_step = (ptrdiff_t)columns * kConvLanes;
    gather(row, t_.tile_h, column, columns, group, m.rows, row_step, m);
    kernels_.input(t_.scheme, t_.tile_h, t_.tile_w, m.rows, row_step, 0, nullptr, to, value_step_,
                   last - first);
}

// The matrices of a row of the transform, of some groups.
void ConvRun::transform(int point, int first_group, int last_group, float* to) const
{
    const ptrdiff_t group = (ptrdiff_t)conv_.inputs * kConvLanes, at = first_group * group;
    const ptrdiff_t count = (last_group - first_group) * group;
    const float* of_row = t_.transform + 3 * point;
    const ncnn::Mat& taps = conv_.weights_;
    if (taps.elemsize == 2u)
        kernels_.point_narrow(of_row, t_.transform, t_.points, taps.row<const uint16_t>(0) + at, taps.w, to,
                              late_step_, count);
    else
        kernels_.point(of_row, t_.transform, t_.points, taps.row(0) + at, taps.w, to, late_step_, count);
}

// The sums of some panels; the first one of `first_panel` lies at the beginning of m.sums.
void ConvRun::multiply(const Memory& m, int first_panel, int last_panel, int tiles) const
{
    int point = -1; // whose matrices were transformed
    for (const ConvProduct& product : t_.products) {
        const int first_group = first_panel * panel_groups_;
        if (conv_.late() && product.matrix / t_.points != point) {
            point = product.matrix / t_.points;
            transform(point, first_group, std::min(last_panel * panel_groups_, out_groups_), m.weights);
        }
        const float* late = conv_.late() ? m.weights + product.matrix % t_.points * late_step_ : nullptr;
        for (int panel = first_panel; panel < last_panel; panel++) {
            const int slot = panel * panel_groups_ - first_group;
            multiply(product, panel, late ? late + (size_t)slot * kConvLanes * conv_.inputs : nullptr, m,
                     slot, tiles);
        }
    }
}

// One of the products, of one panel, whose first group is `slot` of the sums; `late`: its weights, where they
// were transformed late.
void ConvRun::multiply(const ConvProduct& product, int panel, const float* late, const Memory& m, int slot,
                       int tiles) const
{
    const int group = panel * panel_groups_;
    const size_t at = (size_t)group * kConvLanes * conv_.weight_rows_;
    const int groups = std::min(panel_groups_, out_groups_ - group);
    const float* values = m.values + product.value * value_step_;
    float* sums = m.sums + product.sum * sum_step_ + slot * sums_step_;
    if (late)
        kernels_.gemm(late, groups, values, values_step_, conv_.inputs, sums, sums_step_, tiles, product.add);
    else if (conv_.weights_.elemsize == 2u)
        kernels_.gemm_narrow(conv_.weights_.row<const uint16_t>(product.matrix) + at, groups, values,
                             values_step_, conv_.inputs, sums, sums_step_, tiles, product.add);
    else
        kernels_.gemm(conv_.weights_.row(product.matrix) + at, groups, values, values_step_, conv_.inputs,
                      sums, sums_step_, tiles, product.add);
}

ConvFinish ConvRun::finish_of(int group) const
{
    const size_t at = (size_t)group * kConvLanes;
    return {scale_out_ + at, bias_ + at, negative_ + at, a_.activation};
}

// What is added to the result from there on; a residual as a packed blob.
ConvAddends ConvRun::addends_at(int group, int row, int column) const
{
    const size_t pixel = (size_t)row * top_.w + column;
    ConvAddends addends = {};
    if (a_.noise)
        addends.noise = a_.noise + pixel;
    addends.noise_step = top_.w;
    if (a_.residual) {
        const ncnn::Mat& from = *a_.residual;
        addends.residual =
            (const float*)from.data + from.cstep * (size_t)group * kConvLanes + pixel * from.elempack;
        addends.residual_part = (ptrdiff_t)from.cstep * from.elempack;
    }
    return addends;
}

// Pixels of 16 channels to the result.
void ConvRun::store(int group, int row, int column, int pixels, const float* from, const Memory& m) const
{
    const ConvFinish finish = finish_of(group);
    ConvAddends addends = addends_at(group, row, column);
    const int pack = top_.elempack;
    if (packed(group))
        return kernels_.finish_packed(finish, from, addends, packed_at(group, row, column),
                                      (ptrdiff_t)top_.cstep * pack, pixels);
    const size_t at = ((size_t)row * top_.w + column) * pack;
    if (a_.residual) {
        const float* rows[kConvLanes];
        for (int lane = 0; lane < kConvLanes; lane += pack) {
            const int channel = group * kConvLanes + lane;
            rows[lane / pack] = channel < conv_.outputs ? (const float*)a_.residual->data +
                                                              a_.residual->cstep * (size_t)channel + at
                                                        : m.zeros;
        }
        float* residual = m.line + 2 * line_size_;
        const Ones ones;
        fir_.gather(rows, pack, 0, ones.values, m.zeros, residual, pixels);
        addends.residual = residual;
    }
    float* row_of = m.line;
    kernels_.finish(finish, from, addends, row_of, pixels);
    float* to[kConvLanes];
    for (int lane = 0; lane < kConvLanes; lane += pack) {
        const int channel = group * kConvLanes + lane;
        to[lane / pack] = channel < conv_.outputs ? (float*)top_.data + top_.cstep * (size_t)channel + at
                                                  : m.line + line_size_;
    }
    fir_.scatter(row_of, to, pack, 0, pixels);
}

// The result of some tiles, of one group of output channels, whose sums are those of `slot`.
void ConvRun::emit(const Block& block, int group, int slot, const Memory& m) const
{
    block.each([&](const Segment& part) {
        const float* sums = m.sums + slot * sums_step_ + (ptrdiff_t)part.at * kConvLanes;
        const int row = part.row * t_.pixels;
        const int column = part.column * t_.pixels;
        const int rows = std::min(t_.pixels, top_.h - row);
        const int columns = std::min(part.count * t_.pixels, top_.w - column);
        if (t_.sums == 1) { // as they are
            store(group, row, column, columns, sums, m);
            return;
        }
        // Whole tiles go to a packed result at once.
        const int whole = packed(group) && rows == t_.pixels ? columns / t_.pixels : 0;
        if (whole > 0) {
            kernels_.output_packed(t_.scheme, sums, sum_step_, finish_of(group),
                                   addends_at(group, row, column), packed_at(group, row, column),
                                   (ptrdiff_t)top_.w * top_.elempack, (ptrdiff_t)top_.cstep * top_.elempack,
                                   whole);
        }
        const int rest = part.count - whole;
        if (rest == 0)
            return;
        const ptrdiff_t row_step = (ptrdiff_t)rest * t_.pixels * kConvLanes;
        kernels_.output(t_.scheme, sums + (ptrdiff_t)whole * kConvLanes, sum_step_, m.made, row_step, rest);
        for (int y = 0; y < rows; y++)
            store(group, row + y, column + whole * t_.pixels, columns - whole * t_.pixels,
                  m.made + y * row_step, m);
    });
}

// With up = 2: tiles to the ring of rows.
void ConvRun::place(const Block& block, int slot, const Ring& ring, const Memory& m) const
{
    block.each([&](const Segment& part) {
        const float* sums = m.sums + slot * sums_step_ + (ptrdiff_t)part.at * kConvLanes;
        float* to = ring.data + ((ptrdiff_t)(part.row * t_.pixels % ring.rows) * ring_width_ + ring_left_ +
                                 part.column * t_.pixels) *
                                    kConvLanes;
        kernels_.output(t_.scheme, sums, sum_step_, to, (ptrdiff_t)ring_width_ * kConvLanes, part.count);
    });
}

// With up = 2: rows first to last - 1 of the result, of one group, from its ring.
void ConvRun::filter_rows(int first, int last, int group, const Ring& ring, const Memory& m) const
{
    const int taps = (int)conv_.filter.size();
    const int columns = top_.w + taps - 1;
    const int before = conv_.border_before(conv_.kernel_h);
    // The first column that the filter takes; negative ones are zeros in the ring.
    const int left = ring_left_ - conv_.border_before(conv_.kernel_w);
    int offsets[FirFilter::kMostTaps];
    int shifts[FirFilter::kMostTaps];
    for (int k = 0; k < taps; k++)
        shifts[k] = k * kConvLanes;
    float* column_sums = m.line + line_size_;
    for (int row = first; row < last; row++) {
        for (int k = 0; k < taps; k++) {
            const int y = row + k - before;
            const bool inside = y >= 0 && y < tiles_y_ * t_.pixels;
            offsets[k] =
                inside ? (y % ring.rows * ring_width_ + left) * kConvLanes : (int)(m.zeros - ring.data);
        }
        if (taps == 4 && packed(group)) {
            const float* rows[4];
            for (int k = 0; k < 4; k++)
                rows[k] = ring.data + offsets[k];
            kernels_.filter_packed(rows, conv_.filter.data(), finish_of(group), addends_at(group, row, 0),
                                   packed_at(group, row, 0), (ptrdiff_t)top_.cstep * top_.elempack, top_.w);
            continue;
        }
        fir_.sum({ring.data, offsets, conv_.filter.data(), taps, 1}, column_sums, 1, columns);
        fir_.sum({column_sums, shifts, conv_.filter.data(), taps, 1}, m.line, 1, top_.w);
        store(group, row, 0, top_.w, m.line, m);
    }
}

} // namespace custom_layers
