// Convolutions, forward and transposed: of one and two dimensions, with weights of their own or from a blob,
// of three dimensions, and deformable ones.
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
    // How much that adds to an input of this size; and the output of the transposed kind, before it is cut.
    long long same(long long size) const { return extent() + (size - 1) / stride * stride - size; }
    long long whole(long long size, long long more) const { return (size - 1) * stride + extent() + more; }
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
    const long long out = axis.whole(size, more);
    const long long cut = axis.automatic() ? 0 : axis.pad_before + axis.pad_after;
    if (out > INT_MAX || out <= cut)
        throw refuse("its output would have an impossible size of " + std::to_string(out - cut), "1 or more",
                     in);
}

// Whether one is automatic. Beside one that is not, ncnn takes -233 for so many that are to be cut away.
static bool some_automatic(const std::vector<Axis>& axes, const std::vector<Shape>& in)
{
    bool automatic = false, plain = false;
    for (const Axis& axis : axes) {
        automatic = automatic || axis.automatic();
        plain = plain || axis.pad_before > 0 || axis.pad_after > 0;
    }
    if (automatic && plain)
        throw refuse("its paddings are automatic in part", "all of them, or none", in);
    return automatic;
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
    const Axis h = two ? axis_h(l, kernel_h, in) : w;
    const int more_w = kind.transposed ? l.integer(18, 0) : 0,
              more_h = kind.transposed ? l.integer(19, more_w) : 0;
    fits(w, x.w, kind.transposed, more_w, in);
    fits(h, two ? x.h : x.w, kind.transposed, two ? more_h : more_w, in);
    const bool automatic = some_automatic({w, h}, in);
    if (!kind.transposed) {
        const long long same_w = w.same(x.w), same_h = two ? h.same(x.h) : same_w;
        if (automatic && std::min(same_w, same_h) < 0 && std::max(same_w, same_h) > 0)
            throw refuse("its automatic paddings would cut its input", "strides no longer than the kernel",
                         in);
        return;
    }
    const int given_w = l.integer(20, 0), given_h = two ? l.integer(21, 0) : given_w; // of the output
    for (int given : {given_w, given_h})
        in_range(given, 0, "output size", in);
    if (automatic && given_w > 0 && given_h > 0)
        if (w.whole(x.w, more_w) < given_w || (two && h.whole(x.h, more_h) < given_h))
            throw refuse("its output is smaller than the size that it gives for it",
                         "at most " + std::to_string(w.whole(x.w, more_w)) +
                             (two ? " x " + std::to_string(h.whole(x.h, more_h)) : ""),
                         in);
}

// ncnn pads as much as keeps the size if all six paddings say so, and takes them as they are otherwise.
static bool all_automatic(const Axis (&axes)[3], const std::vector<Shape>& in)
{
    const long long first = axes[0].pad_before;
    for (const Axis& axis : axes)
        for (long long pad : {axis.pad_before, axis.pad_after})
            if (pad != first && (pad < 0 || first < 0))
                throw refuse("its paddings are automatic in part", "all of them, or none", in);
    return first < 0;
}

static void volume(const LayerLine& l, const std::vector<Shape>& in, bool transposed, bool grouped)
{
    const Shape& x = in[0];
    const int kernel_w = l.integer(1, 0), kernel_h = l.integer(11, kernel_w),
              kernel_d = l.integer(21, kernel_w);
    const int group = grouped ? l.integer(7, 1) : 1, outputs = l.integer(0, 1);
    // ncnn has checked that the count is a multiple of outputs and kernel, and that groups divide the
    // outputs.
    const long long channels =
        (long long)l.integer(6, 0) / outputs / ((long long)kernel_w * kernel_h * kernel_d) * group;
    if (x.dims != 4 || x.c != channels)
        throw refuse("its input does not fit its weights",
                     "4 dimensions with " + std::to_string(channels) + " channels", in);
    const int front = l.integer(24, l.integer(4, 0));
    const Axis axes[3] = {axis_w(l, kernel_w, in), axis_h(l, kernel_h, in),
                          checked({kernel_d, l.integer(22, l.integer(2, 1)), l.integer(23, l.integer(3, 1)),
                                   front, l.integer(17, front)},
                                  in)};
    const bool automatic = all_automatic(axes, in);
    const int more_w = l.integer(18, 0), given_w = l.integer(25, 0);
    const int more[3] = {more_w, l.integer(19, more_w), l.integer(20, more_w)};
    const int given[3] = {given_w, l.integer(26, given_w),
                          l.integer(27, given_w)}; // sizes of the output, if all are
    const bool cut = transposed && automatic && given[0] > 0 && given[1] > 0 && given[2] > 0;
    const int sizes[3] = {x.w, x.h, x.d};
    double total = std::max(x.c, outputs);
    bool grows = false, shrinks = false;
    for (int i = 0; i < 3; i++) {
        const Axis& axis = axes[i];
        fits(axis, sizes[i], transposed, transposed ? more[i] : 0, in);
        const long long out = axis.whole(sizes[i], more[i]);
        if (cut && out < given[i])
            throw refuse("its output is smaller than the size that it gives for it",
                         "at most " + std::to_string(out), in);
        const long long same = axis.same(sizes[i]);
        grows = grows || same > 0;
        shrinks = shrinks || same < 0;
        total *= (double)(transposed  ? out
                          : automatic ? sizes[i] + axis.extent()
                                      : sizes[i] + axis.pad_before + axis.pad_after);
    }
    if (!transposed && automatic && grows && shrinks)
        throw refuse("its automatic paddings would cut its input", "strides no longer than the kernel", in);
    if (total > INT_MAX)
        throw refuse("its output is too large", "less than 2^31", in);
}

template <bool transposed, bool grouped> static void check3d(const LayerLine& l, const std::vector<Shape>& in)
{
    volume(l, in, transposed, grouped);
}

// Input, offsets of each tap in y and x, and, if there is a third, a factor for each tap.
static void deformable(const LayerLine& l, const std::vector<Shape>& in)
{
    const Shape& x = in[0];
    const int kernel_w = l.integer(1, 0), kernel_h = l.integer(11, kernel_w);
    const long long taps = (long long)kernel_w * kernel_h,
                    channels = (long long)l.integer(6, 0) / l.integer(0, 1) / taps;
    if (x.dims != 3 || x.c != channels)
        throw refuse("its input does not fit its weights",
                     "3 dimensions with " + std::to_string(channels) + " channels", in);
    const Axis w = axis_w(l, kernel_w, in), h = axis_h(l, kernel_h, in);
    if (w.automatic() || h.automatic())
        throw refuse("it has an automatic padding", "0 or more", in);
    fits(w, x.w, false, 0, in);
    fits(h, x.h, false, 0, in);
    const long long out_w = (x.w + w.pad_before + w.pad_after - w.extent()) / w.stride + 1,
                    out_h = (x.h + h.pad_before + h.pad_after - h.extent()) / h.stride + 1;
    for (size_t i = 1; i < in.size(); i++) {
        const long long count = i == 1 ? 2 * taps : taps;
        if (in[i].dims != 3 || in[i].c != count || in[i].h != out_h || in[i].w != out_w)
            throw refuse(i == 1 ? "its offsets do not fit its output" : "its mask does not fit its output",
                         "[" + std::to_string(count) + ", " + std::to_string(out_h) + ", " +
                             std::to_string(out_w) + "]",
                         in);
    }
}

template <bool transposed, bool grouped, int dims>
static void check(const LayerLine& l, const std::vector<Shape>& in)
{
    sliding(l, in, Kind2d{transposed, grouped, dims});
}

HandCheck convolution_check(const std::string& type)
{
    static const std::unordered_map<std::string, HandCheck> table = {
        {"Convolution", check<false, false, 3>},    {"ConvolutionDepthWise", check<false, true, 3>},
        {"Deconvolution", check<true, false, 3>},   {"DeconvolutionDepthWise", check<true, true, 3>},
        {"Convolution1D", check<false, false, 2>},  {"ConvolutionDepthWise1D", check<false, true, 2>},
        {"Deconvolution1D", check<true, false, 2>}, {"DeconvolutionDepthWise1D", check<true, true, 2>},
        {"Convolution3D", check3d<false, false>},   {"ConvolutionDepthWise3D", check3d<false, true>},
        {"Deconvolution3D", check3d<true, false>},  {"DeconvolutionDepthWise3D", check3d<true, true>},
        {"DeformableConv2D", deformable},
    };
    const auto found = table.find(type);
    return found == table.end() ? nullptr : found->second;
}

} // namespace runtime
