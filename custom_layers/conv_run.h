// One run of the fast form of Conv. Three ways to share the work:
//
// By tiles: each thread takes blocks of tiles and makes all channels of them; what is between the image and
// the result stays in its caches. By channels: for weights that are larger than the second cache each thread
// takes a part of the output channels, and the transformed tiles are shared, so that the weights are read
// once. In steps: all threads make the values, then the products, each of some tiles, channels and sums, then
// the result; where there are more threads than tiles or channels would give work to.
//
// conv_plan.cpp decides, conv_run.cpp shares the work, conv_tiles.cpp does it.
#pragma once

#include "conv.h"

#include <algorithm>

namespace custom_layers
{

class ConvRun
{
public:
    ConvRun(const Conv& conv, const ConvArguments& arguments, ncnn::Mat& top, const ncnn::Option& opt);

    // 0, or -1 when out of memory.
    int run();

    ConvSharing sharing() const;

private:
    // Tiles of a row, side by side.
    struct Segment {
        int row;
        int column;
        int count;
        int at; // of the block
    };

    // `count` tiles from (row, column) on, row by row between the columns `begin` and `end`.
    struct Block {
        int row;
        int column;
        int count;
        int begin;
        int end;

        template <typename F> void each(const F& f) const
        {
            Segment part = {row, column, 0, 0};
            for (; part.at < count; part.at += part.count, part.row++, part.column = begin) {
                part.count = std::min(end - part.column, count - part.at);
                f(part);
            }
        }
    };

    // How the work is cut.
    struct Cut {
        ConvSharing::Way way = ConvSharing::kTiles;
        int threads = 1;    // that have work
        int shares = 1;     // of the tiles, rows or channels
        int block = 1;      // tiles that are made at once
        int block_rows = 1; // with up = 2: rows of tiles of a block
        int groups = 0;     // output groups of a share
        // In steps: parts of the block's tiles that make a piece of work with a group of channels, or with a
        // panel of them and a sum.
        int fills = 1, products = 1, stores = 1;
        double cost = 0; // multiplications of the thread that has most
    };

    // Made rows of pixels that the filter of up = 2 takes: for each group `rows` rows, which are used again.
    struct Ring {
        float* data;
        int rows;
    };

    // What one thread works in. `values`, `sums`, `weights` and `made` may be shared.
    struct Memory {
        float* values;
        float* sums;
        float* weights; // transformed late
        float* rows;    // of the image
        float* made;    // rows of pixels
        float* seams;   // of all
        float* line;    // one row of pixels, and two more
        float* zeros;   // one row
    };

    void plan();
    int share_groups(int shares) const;
    double reading() const;
    double multiplying() const;
    double writing() const;
    double transforming() const;
    size_t weight_bytes() const;
    Cut usual(int threads) const;
    Cut by_tiles(int threads, int block, int least) const;
    Cut by_rows(int threads, int block) const;
    Cut by_channels(int threads, int block) const;
    Cut steps(int threads) const;
    void allot();
    int64_t floats() const; // of the workspace
    int take_memory();
    bool is_few() const;
    int few();
    void share_tiles() const;
    void share_channels() const;
    void share_rows() const;
    void share_steps() const;

    Memory memory_of(int thread) const;
    void clear(const Memory& m) const;
    // Tiles first to last - 1 of all.
    Block tiles(int first, int last) const
    {
        return {first / tiles_x_, first % tiles_x_, last - first, 0, tiles_x_};
    }
    void gather(int row, int rows, int column, int columns, int group, float* to, ptrdiff_t row_step,
                const Memory& m) const;
    void fill(const Block& block, int group, const Memory& m) const;
    void fill_gathered(const Segment& part, int first, int last, int group, float* to, const Memory& m) const;
    void multiply(const Memory& m, int first_panel, int last_panel, int tiles) const;
    void multiply(const ConvProduct& product, int panel, const float* late, const Memory& m, int slot,
                  int tiles) const;
    void transform(int point, int first_group, int last_group, float* to) const;
    ConvFinish finish_of(int group) const;
    // The result is as the kernels write it, and has all channels of the group.
    bool packed(int group) const
    {
        return top_.elempack == kernels_.pack && (group + 1) * kConvLanes <= conv_.outputs;
    }
    float* packed_at(int group, int row, int column) const
    {
        return (float*)top_.data + top_.cstep * (size_t)group * kConvLanes +
               ((size_t)row * top_.w + column) * top_.elempack;
    }
    ConvAddends addends_at(int group, int row, int column) const;
    const ncnn::Mat& part_of(int& group) const; // of x; then `group` is one of this blob
    void emit(const Block& block, int group, int slot, const Memory& m) const;
    void place(const Block& block, int slot, const Ring& ring, const Memory& m) const;
    void filter_rows(int first, int last, int group, const Ring& ring, const Memory& m) const;
    void store(int group, int row, int column, int pixels, const float* from, const Memory& m) const;

    const Conv& conv_;
    const ConvTiles& t_;
    const FirKernels& fir_;
    const ConvKernels& kernels_;
    const ConvArguments& a_;
    const ncnn::Mat& x_; // the first part
    ncnn::Mat& top_;
    const ncnn::Option& opt_;
    ncnn::Mat factors_; // the four below, filled up to whole groups of 16
    float* scale_in_ = nullptr;
    float* scale_out_ = nullptr;
    float* bias_ = nullptr;
    float* negative_ = nullptr;
    ncnn::Mat memory_; // what the threads share, then a piece for each

    int in_groups_, out_groups_, panel_groups_, panels_;
    int tiles_y_, tiles_x_;
    int offset_y_, offset_x_; // pixels of the border before the image
    int sets_ = 0;            // of products, each of which makes a sum
    Cut cut_;
    double speed_ = 1;                           // of one thread
    ptrdiff_t value_step_ = 0, values_step_ = 0; // from a value to the next, and from a group to the next
    ptrdiff_t sum_step_ = 0, sums_step_ = 0;
    ptrdiff_t late_step_ = 0; // from a matrix to the next, where they are transformed late
    // Rows that the filter takes: `ring_rows_` of `ring_width_` pixels, of each of `ring_groups_`. A seam has
    // those around the border of two shares.
    int ring_rows_ = 0, ring_width_ = 0, ring_left_ = 0, ring_groups_ = 0, seam_rows_ = 0;
    int64_t values_size_ = 0, sums_size_ = 0, rows_size_ = 0, made_size_ = 0, line_size_ = 0, seam_size_ = 0;
    int64_t late_size_ = 0;
    int64_t common_size_ = 0, piece_size_ = 0; // of what threads share, and of what each has
};

} // namespace custom_layers
