// The loop that the elementwise layers share.
#pragma once

#include "checks.h"

#include <algorithm>

namespace custom_layers
{

// Calls f(values, count, channel, offset) for pieces that together are all of `m`; `offset` counts values
// from the start of the channel and is a multiple of 16, so that packed lanes keep their place. Pieces run in
// parallel.
template <typename F> void for_each_piece(ncnn::Mat& m, const ncnn::Option& opt, const F& f)
{
    const size_t size = (size_t)m.w * m.h * m.d * m.elempack;
    const int channels = m.c;
    // Below some thousand values waking a thread costs more than the work.
    const int threads = size * channels < 16384 ? 1 : std::max(opt.num_threads, 1);
    const int pieces = channels >= threads ? 1 : threads;
    const size_t step = (size / pieces / 16 + 1) * 16;

#pragma omp parallel for num_threads(threads)
    for (int i = 0; i < channels * pieces; i++) {
        const int channel = i / pieces;
        const size_t offset = step * (i % pieces);
        if (offset < size) {
            float* values = (float*)m.data + m.cstep * channel * m.elempack + offset;
            f(values, std::min(step, size - offset), channel, offset);
        }
    }
}

// Replaces every value v of `m` by f(v).
template <typename F> void map_values(ncnn::Mat& m, const ncnn::Option& opt, const F& f)
{
    for_each_piece(m, opt, [&f](float* values, size_t count, int, size_t) {
        // A copy: through the reference, the compiler must assume that each store changes what f captured.
        const F local = f;
        for (size_t i = 0; i < count; i++)
            values[i] = local(values[i]);
    });
}

// A layer that maps every value of one blob of any shape, in place.
class Elementwise : public ncnn::Layer
{
public:
    Elementwise()
    {
        one_blob_only = true;
        support_inplace = true;
        support_packing = true;
    }

    int load_param(const ncnn::ParamDict&) override { return check_io(*this, 1, 1, 1, 1); }

protected:
    template <typename F> int map(ncnn::Mat& blob, const ncnn::Option& opt, const F& f) const
    {
        if (check_blob(*this, blob) != 0)
            return -1;
        map_values(blob, opt, f);
        return 0;
    }
};

// NaN stays NaN, as in torch.
inline float clamp_value(float v, float low, float high) { return v < low ? low : v > high ? high : v; }

} // namespace custom_layers
