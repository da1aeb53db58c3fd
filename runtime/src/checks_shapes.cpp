// Layers whose inputs must fit each other, or whose parameters must fit their input.
#include "checks.h"

#include <algorithm>
#include <climits>
#include <unordered_map>

namespace runtime
{

// ncnn's rules: equal ranks broadcast as in numpy; a 1-D operand lies along the outermost axis if it has its
// size, else along the innermost; a 2-D or 3-D one of lower rank lies along the outer axes.
static Shape raised(const Shape& a, const Shape& to)
{
    const int dims = to.dims;
    if (a.dims >= dims)
        return a;
    if (a.dims == 1) {
        const bool outer = a.w == to.outer();
        if (dims == 2)
            return outer ? Shape{2, 1, a.w, 1, 1} : Shape{2, a.w, 1, 1, 1};
        return outer ? Shape{dims, 1, 1, 1, a.w} : Shape{dims, a.w, 1, 1, 1};
    }
    if (a.dims == 2)
        return dims == 3 ? Shape{3, 1, a.w, 1, a.h} : Shape{4, 1, 1, a.w, a.h};
    return Shape{4, 1, a.w, a.h, a.c};
}

static void binary(const LayerLine& l, const std::vector<Shape>& in)
{
    if (l.integer(1, 0) || in.size() < 2)
        return;
    const Shape a = raised(in[0], in[1]), b = raised(in[1], in[0]);
    auto fits = [](int x, int y) { return x == y || x == 1 || y == 1; };
    if (!fits(a.w, b.w) || !fits(a.h, b.h) || !fits(a.d, b.d) || !fits(a.c, b.c))
        throw refuse("its inputs cannot be broadcast", "each size equal or 1", in);
}

static void same(const LayerLine&, const std::vector<Shape>& in)
{
    for (const Shape& s : in)
        if (s.sizes() != in[0].sizes())
            throw refuse("its inputs differ in shape", "one shape", in);
}

static int axis_of(const LayerLine& l, int id, const std::vector<Shape>& in)
{
    const int axis = l.integer(id, 0), positive = axis < 0 ? axis + in[0].dims : axis;
    if (positive < 0 || positive >= in[0].dims)
        throw refuse("it works along axis " + std::to_string(axis), "an input that has that axis", in);
    return positive;
}

static void concat(const LayerLine& l, const std::vector<Shape>& in)
{
    const int axis = axis_of(l, 0, in);
    long long total = 0;
    for (const Shape& s : in) {
        std::vector<int> ours = s.sizes(), first = in[0].sizes();
        if (ours.size() != first.size())
            throw refuse("its inputs differ in dimensions", "the same number", in);
        total += ours[axis];
        ours[axis] = first[axis] = 0;
        if (ours != first)
            throw refuse("its inputs differ beside axis " + std::to_string(axis), "equal sizes there", in);
    }
    if (total > INT_MAX)
        throw refuse("its output is too large", "less than 2^31", in);
}

// 0 slices[] (-233: an equal share of the rest), 2 indices[]; exclusive.
static void slice(const LayerLine& l, const std::vector<Shape>& in)
{
    const int size = in[0].sizes()[axis_of(l, 1, in)], parts = (int)l.tops.size();
    const std::vector<int>&indices = l.array(2), &slices = l.array(0);
    long long position = 0;
    for (int i = 0; i < parts; i++) {
        long long part;
        if (!indices.empty()) {
            if ((int)indices.size() < parts - 1)
                throw refuse("it has too few indices for its outputs", "one less", in);
            const long long end = i == parts - 1   ? size
                                  : indices[i] < 0 ? (long long)size + indices[i]
                                                   : indices[i];
            part = end - position;
        } else {
            if ((int)slices.size() < parts)
                throw refuse("it has too few slices for its outputs", std::to_string(parts), in);
            part = slices[i];
            if (part == -233)
                part = (size - position) / (parts - i);
        }
        position += part;
        if (part < 1 || position > size)
            throw refuse("output " + std::to_string(i + 1) + " reaches outside its input",
                         "parts of a size of " + std::to_string(size), in);
    }
}

static void reshape(const LayerLine& l, const std::vector<Shape>& in)
{
    const std::vector<int> sizes = reshape_sizes(l, in);
    if (l.given(12) || l.given(13) || in.size() > 1)
        return; // batches, or shapes of other blobs: ncnn checks the numbers itself
    const Shape& x = in[0];
    if (sizes.empty() || sizes.size() > 4)
        throw refuse("it has no shape", "1 to 4 sizes", in);
    const int kept[2][4] = {{x.w, x.h, x.c, 1}, {x.w, x.h, x.d, x.c}};
    long long known = 1;
    int open = 0;
    for (size_t i = 0; i < sizes.size(); i++) {
        const int size = sizes[i] == 0 ? kept[sizes.size() == 4][i] : sizes[i];
        if (size == -1)
            open++;
        else if (size < 1 || known > INT_MAX)
            throw refuse("it has a bad size", "sizes of -1, 0 or more", in);
        else
            known *= size;
    }
    if (x.total() > INT_MAX || open > 1 || x.total() % known != 0 || (open == 0 && x.total() != known))
        throw refuse("its input does not fit its shape",
                     open ? "a multiple of " + std::to_string(known) + " values, one size open"
                          : std::to_string(known) + " values",
                     in);
}

// Of 2 or 3 axes, w first.
template <int axes> static void pooling(const LayerLine& l, const std::vector<Shape>& in)
{
    const Shape& x = in[0];
    if (x.dims != axes + 1)
        throw refuse("its input has the wrong number of dimensions",
                     axes == 2 ? "[channels, height, width]" : "[channels, depth, height, width]", in);
    if (l.integer(4, 0))
        return; // global
    const int sizes[3] = {x.w, x.h, x.d};
    double total = x.c;
    if (l.integer(7, 0)) { // adaptive: ncnn multiplies sizes of input and output as int
        const int out_w = l.integer(8, 0), outs[3] = {out_w, l.integer(18, out_w), l.integer(28, out_w)};
        for (int i = 0; i < axes; i++) {
            const long long out = outs[i] == -233 ? sizes[i] : outs[i];
            total *= (double)out;
            if (total > INT_MAX || (out + 1) * sizes[i] + out > INT_MAX)
                throw refuse("its output is too large", "less than 2^31", in);
        }
        return;
    }
    const int kernel_w = l.integer(1, 0), stride_w = l.integer(2, 1), left = l.integer(3, 0);
    const int top = l.integer(13, left), front = l.integer(23, left);
    const int kernels[3] = {kernel_w, l.integer(11, kernel_w), l.integer(21, kernel_w)};
    const int strides[3] = {stride_w, l.integer(12, stride_w), l.integer(22, stride_w)};
    const int before[3] = {left, top, front};
    const int after[3] = {l.integer(14, left), l.integer(15, top), l.integer(16, front)};
    const bool same = l.integer(5, 0) >= 2; // as many pads as keep the size
    bool grows = false, shrinks = false;
    double window = 1;
    for (int i = 0; i < axes; i++) {
        for (int pad : {before[i], after[i]})
            if (!same && (pad < 0 || pad > 1 << 20))
                throw refuse("it has a bad padding of " + std::to_string(pad), "0 to 1048576", in);
        const long long padded = (long long)sizes[i] + (same ? 0 : before[i] + after[i]);
        if (!same && padded < kernels[i])
            throw refuse("the window is larger than its padded input", "a larger input", in);
        const long long more = kernels[i] + (long long)(sizes[i] - 1) / strides[i] * strides[i] - sizes[i];
        grows = grows || more > 0;
        shrinks = shrinks || more < 0;
        total *= (double)padded + (same ? kernels[i] : strides[i]); // what ncnn adds at the end, at most
        window *= kernels[i];
    }
    if (same && grows && shrinks)
        throw refuse("its automatic paddings would cut its input", "strides no longer than the window", in);
    if (total > INT_MAX || window > 1 << 24)
        throw refuse("its padded input is too large", "less than 2^31", in);
}

static void padding(const LayerLine& l, const std::vector<Shape>& in)
{
    const Shape& x = in[0];
    const int top = l.integer(0, 0), bottom = l.integer(1, 0), left = l.integer(2, 0),
              right = l.integer(3, 0);
    const int type = l.integer(4, 0), front = l.integer(7, 0), behind = l.integer(8, 0),
              channels = l.integer(6, 0);
    for (int value : {top, bottom, left, right, front, behind})
        if (value < 0)
            throw refuse("it has a negative padding", "0 or more (a Crop cuts)", in);
    if (type == 2 && (std::max(left, right) >= x.w || (x.dims > 1 && std::max(top, bottom) >= x.h) ||
                      (x.dims == 3 && std::max(front, behind) >= x.c)))
        throw refuse("it reflects more than its input has", "paddings smaller than the input", in);
    if (channels && channels != x.c + front + behind)
        throw refuse("its input does not fit its values", std::to_string(channels) + " channels", in);
}

static void matmul(const LayerLine& l, const std::vector<Shape>& in)
{
    const Shape &a = in[0], &b = in[1];
    const bool transposed = l.integer(0, 0) != 0;
    const int inner = b.dims == 1 || transposed ? b.w : b.h;
    auto fits = [](int x, int y) { return x == y || x == 1 || y == 1; };
    if (a.w != inner)
        throw refuse("its inputs differ in their inner size", "a[..., k] and b[..., k, n]", in);
    if (a.dims > 2 && b.dims > 2 &&
        (!fits(a.c, b.c) || (a.dims == 4 && b.dims == 4 && !fits(a.d, b.d)) ||
         (a.dims != b.dims && a.c != 1 && b.c != 1 && a.dims == 4 && !fits(a.d, b.c))))
        throw refuse("its inputs cannot be broadcast", "each outer size equal or 1", in);
}

static void pixel_shuffle(const LayerLine& l, const std::vector<Shape>& in)
{
    const long long factor = l.integer(0, 1);
    if (in[0].dims != 3 || factor < 1 || factor > 4096 || in[0].c % (factor * factor))
        throw refuse("its input does not fit its factor of " + std::to_string(factor),
                     "channels that are a multiple of its square", in);
}

static void shuffle_channel(const LayerLine& l, const std::vector<Shape>& in)
{
    const int group = l.integer(0, 1);
    if (in[0].dims != 3 || group < 1 || in[0].c % group)
        throw refuse("its input does not fit its groups",
                     "channels that are a multiple of " + std::to_string(group), in);
}

// A and B are blobs unless they are weights (ids 4, 5, their sizes in 7 to 9); C may be.
static void gemm(const LayerLine& l, const std::vector<Shape>& in)
{
    const bool weight_a = l.integer(4, 0), weight_b = l.integer(5, 0);
    const size_t blobs = !weight_a + !weight_b;
    if (in.size() < blobs || in.size() > blobs + 1)
        throw refuse("it has the wrong number of inputs", std::to_string(blobs) + ", and one to add", in);
    auto rows = [](const Shape& s) { return s.dims == 3 ? s.c : s.h; };
    const int constant_m = l.integer(7, 0), constant_n = l.integer(8, 0);
    int m = constant_m, n = constant_n, k_a = l.integer(9, 0), k_b = k_a;
    for (size_t i = 0; i < blobs; i++) // ncnn packs a vector along its only axis, and takes that for rows
        if (in[i].dims < 2 || in[i].dims > 3 || (in[i].dims == 3 && in[i].h != 1))
            throw refuse("its input is not a matrix", "2 dimensions", in);
    if (!weight_a) {
        const bool turned = l.integer(2, 0) != 0;
        m = turned ? in[0].w : rows(in[0]);
        k_a = turned ? rows(in[0]) : in[0].w;
    }
    if (!weight_b) {
        const Shape& b = in[blobs - 1];
        const bool turned = l.integer(3, 0) != 0;
        n = turned ? rows(b) : b.w;
        k_b = turned ? b.w : rows(b);
    }
    if (k_a != k_b)
        throw refuse("its matrices differ in their inner size", "a[m, k] and b[k, n]", in);
    if (l.integer(6, 0)) {
        const int kind = l.integer(10, 0); // of C: 0 and -1 a number or none, 1 and 2 m, 3 m by n, 4 n
        if ((kind >= 1 && kind <= 3 && m != constant_m) || (kind >= 3 && n != constant_n))
            throw refuse("what it adds has the wrong shape",
                         std::to_string(constant_m) + " by " + std::to_string(constant_n), in);
        return;
    }
    if (in.size() == blobs)
        return;
    const std::vector<int> c = in.back().sizes();
    using Sizes = std::vector<int>;
    if (c != Sizes{1} && c != Sizes{m} && c != Sizes{n} && c != Sizes{m, 1} && c != Sizes{m, n} &&
        c != Sizes{1, n})
        throw refuse("what it adds has the wrong shape",
                     "one that broadcasts to " + std::to_string(m) + " by " + std::to_string(n), in);
}

HandCheck shapes_check(const std::string& type)
{
    static const std::unordered_map<std::string, HandCheck> table = {
        {"BinaryOp", binary},
        {"Eltwise", same},
        {"Concat", concat},
        {"Slice", slice},
        {"Reshape", reshape},
        {"Pooling", pooling<2>},
        {"Pooling3D", pooling<3>},
        {"Padding", padding},
        {"MatMul", matmul},
        {"PixelShuffle", pixel_shuffle},
        {"ShuffleChannel", shuffle_channel},
        {"Gemm", gemm},
    };
    const auto found = table.find(type);
    return found == table.end() ? nullptr : found->second;
}

} // namespace runtime
