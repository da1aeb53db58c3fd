// Convolutions, forward and transposed, of one and two dimensions, with weights of their own or from a blob.
#include "checks.h"

#include <algorithm>
#include <climits>
#include <unordered_map>

namespace runtime
{

namespace
{

constexpr int max_size = 1 << 16; // of a kernel, a stride, a padding: beyond it products of int overflow

// One axis of the sliding window.
struct Axis {
    long long kernel, dilation, stride, pad_before, pad_after;

    long long extent() const { return dilation * (kernel - 1) + 1; }
    bool automatic() const { return pad_before < 0 || pad_after < 0; } // "as many as keep the size"
};

struct Kind2d {
    bool transposed, grouped;
    int dims; // of the input: 3, or 2 for the 1-D kind
};

} // namespace

static void in_range(long long value, long long low, const char* what, const std::vector<Shape>& in)
{
    if (value < low || value > max_size)
        throw refuse(std::string("it has a bad ") + what + " of " + std::to_string(value),
                     std::to_string(low) + " to " + std::to_string(max_size), in);
}

static Axis checked(Axis axis, const std::vector<Shape>& in)
{
    in_range(axis.kernel, 1, "kernel size", in);
    in_range(axis.dilation, 1, "dilation", in);
    in_range(axis.stride, 1, "stride", in);
    for (long long* pad : {&axis.pad_before, &axis.pad_after})
        if (*pad != -233 && *pad != -234)
            in_range(*pad, 0, "padding", in);
    return axis;
}

// The kernel's sizes are given: they come from the line, or from a blob of weights.
static Axis axis_w(const LayerLine& l, int kernel, const std::vector<Shape>& in)
{
    const int left = l.integer(4, 0);
    return checked({kernel, l.integer(2, 1), l.integer(3, 1), left, l.integer(15, left)}, in);
}

static Axis axis_h(const LayerLine& l, int kernel, const std::vector<Shape>& in)
{
    const int left = l.integer(4, 0), top = l.integer(14, left);
    return checked(
        {kernel, l.integer(12, l.integer(2, 1)), l.integer(13, l.integer(3, 1)), top, l.integer(16, top)},
        in);
}

static void fits(const Axis& axis, int size, bool transposed, int more, const std::vector<Shape>& in)
{
    if (!transposed) {
        if (!axis.automatic() && size + axis.pad_before + axis.pad_after < axis.extent())
            throw refuse("the kernel is larger than its padded input",
                         "at least " + std::to_string(axis.extent() - axis.pad_before - axis.pad_after), in);
        return;
    }
    in_range(more, 0, "output padding", in);
    const long long out = (size - 1) * axis.stride + axis.extent() + more;
    const long long cut = axis.automatic() ? 0 : axis.pad_before + axis.pad_after;
    if (out > INT_MAX || out <= cut)
        throw refuse("its output would have an impossible size of " + std::to_string(out - cut), "1 or more",
                     in);
}

static void sliding(const LayerLine& l, const std::vector<Shape>& in, const Kind2d& kind)
{
    const Shape& x = in[0];
    const bool two = kind.dims == 3, dynamic = l.integer(kind.transposed ? 28 : 19, 0) != 0;
    int kernel_w = l.integer(1, 0), kernel_h = two ? l.integer(11, kernel_w) : 1;
    const int group = kind.grouped ? l.integer(7, 1) : 1;
    in_range(group, 1, "number of groups", in);
    long long channels;
    if (dynamic) { // [out, in/group, kh, kw], transposed [in, out/group, kh, kw]; one axis less for the 1-D
                   // kind
        const Shape& weight = in[1];
        if (weight.dims != kind.dims + 1)
            throw refuse("its weight blob has the wrong number of dimensions", std::to_string(kind.dims + 1),
                         in);
        kernel_w = weight.w;
        kernel_h = two ? weight.h : 1;
        const int second = two ? weight.d : weight.h;
        channels = kind.transposed ? weight.c : (long long)second * group;
        const long long outputs = kind.transposed ? (long long)second * group : weight.c;
        if (outputs % group)
            throw refuse("its weight blob does not fit its groups", "a multiple of " + std::to_string(group),
                         in);
        if (l.integer(5, 0) && in[2].total() != outputs)
            throw refuse("its bias blob does not fit its weight blob", std::to_string(outputs) + " values",
                         in);
    } else {
        // ncnn has checked that the count is a multiple of outputs and kernel; what is left is inputs per
        // group.
        channels = (long long)l.integer(6, 0) / l.integer(0, 1) / ((long long)kernel_w * kernel_h) * group;
    }
    const Axis w = axis_w(l, kernel_w, in);
    if (x.dims == 1 && kind.dims == 3 && !dynamic && !kind.grouped && !kind.transposed && kernel_w == 1 &&
        kernel_h == 1) {
        if (x.w != channels)
            throw refuse("its input does not fit its weights", std::to_string(channels) + " values", in);
        return; // ncnn treats it as an InnerProduct
    }
    if (x.dims != kind.dims || x.outer() != channels || channels % group)
        throw refuse("its input does not fit its weights",
                     std::to_string(kind.dims) + " dimensions with " + std::to_string(channels) + " channels",
                     in);
    const int more_w = l.integer(18, 0);
    fits(w, x.w, kind.transposed, kind.transposed ? more_w : 0, in);
    if (two)
        fits(axis_h(l, kernel_h, in), x.h, kind.transposed, kind.transposed ? l.integer(19, more_w) : 0, in);
    if (kind.transposed) // the output's size, where it is given
        for (int id : {20, 21})
            in_range(l.integer(id, 0), 0, "output size", in);
}

template <bool transposed, bool grouped, int dims>
static void check(const LayerLine& l, const std::vector<Shape>& in)
{
    sliding(l, in, Kind2d{transposed, grouped, dims});
}

Check convolution_check(const std::string& type)
{
    static const std::unordered_map<std::string, Check> table = {
        {"Convolution", check<false, false, 3>},    {"ConvolutionDepthWise", check<false, true, 3>},
        {"Deconvolution", check<true, false, 3>},   {"DeconvolutionDepthWise", check<true, true, 3>},
        {"Convolution1D", check<false, false, 2>},  {"ConvolutionDepthWise1D", check<false, true, 2>},
        {"Deconvolution1D", check<true, false, 2>}, {"DeconvolutionDepthWise1D", check<true, true, 2>},
    };
    const auto found = table.find(type);
    return found == table.end() ? nullptr : found->second;
}

} // namespace runtime
