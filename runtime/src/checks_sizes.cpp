// Layers whose output has a size that a file may say in several ways: by numbers, by another blob, or by an
// expression of the sizes of blobs, such as "*(0w,2),0h".
#include "checks.h"

#include <algorithm>
#include <climits>
#include <expression.h>
#include <unordered_map>
#include <unordered_set>

namespace runtime
{

// Numbers that a function of an expression takes; 0 for what is none.
static int arity(const std::string& token)
{
    static const std::unordered_set<std::string> one = {
        "abs",   "neg",   "sign",       "square", "trunc", "ceil",  "floor", "round", "acos",
        "acosh", "asin",  "asinh",      "atan",   "cos",   "atanh", "cosh",  "erf",   "exp",
        "log",   "log10", "reciprocal", "rsqrt",  "sin",   "sinh",  "sqrt",  "tan",   "tanh"};
    static const std::unordered_set<std::string> two = {"+",  "-",     "*",      "//",     "max",       "min",
                                                        "/",  "atan2", "fmod",   "pow",    "remainder", "and",
                                                        "or", "xor",   "lshift", "rshift", "logaddexp"};
    return one.count(token) ? 1 : two.count(token) ? 2 : 0;
}

static std::vector<std::string> tokens_of(const std::string& expression)
{
    std::vector<std::string> tokens(1);
    for (char c : expression) {
        if (c != '(' && c != ')' && c != ',')
            tokens.back() += c;
        else if (!tokens.back().empty())
            tokens.emplace_back();
    }
    if (tokens.back().empty())
        tokens.pop_back();
    return tokens;
}

// The values of an expression, by ncnn (src/expression.cpp) once it is known that it takes no number from an
// empty stack, asks for no blob that is not there, and makes no division that traps.
static std::vector<int> evaluated(const std::string& expression, const std::vector<Shape>& in)
{
    auto bad = [&](const std::string& what) {
        return refuse("its expression " + runtime::quoted(expression) + " cannot be evaluated: " + what,
                      "functions of sizes of its inputs, as *(0w,2),0h", in);
    };
    std::vector<ncnn::Mat> blobs;
    for (const Shape& s : in) {
        ncnn::Mat blob; // sizes without values
        blob.dims = s.dims, blob.w = s.w, blob.h = s.h, blob.d = s.d, blob.c = s.c, blob.elempack = 1,
        blob.n = 1;
        blobs.push_back(blob);
    }
    const std::vector<std::string> tokens = tokens_of(expression);
    std::vector<int> values;
    std::string
        rest; // of the expression, from a token to its end: an expression as well, whose values are a stack
    int depth = 0;
    for (size_t i = tokens.size(); i-- > 0;) {
        const std::string& token = tokens[i];
        const int taken = arity(token);
        if (depth < taken)
            throw bad(runtime::quoted(token) + " lacks a number");
        if (token == "//" && (values[1] == 0 || (values[0] == INT_MIN && values[1] == -1)))
            throw bad("a bad division");
        depth += 1 - taken;
        rest = token + (rest.empty() ? "" : ",") + rest;
        values.clear();
        if (ncnn::eval_list_expression(rest, blobs, values) != 0)
            throw bad(runtime::quoted(token));
    }
    if (values.empty())
        throw bad("it is empty");
    return values;
}

// Of an axis: where it is cut, and what remains of it.
struct Cut {
    long long offset, size;
};

// By starts and ends, in numpy's way: -233 is the border, what is negative counts from the end.
static void cut_between(std::vector<Cut>& cuts, const std::vector<int>& sizes, const std::vector<int>& starts,
                        const std::vector<int>& ends, const std::vector<int>& axes,
                        const std::vector<Shape>& in)
{
    const size_t count = axes.empty() ? sizes.size() : axes.size();
    if (count > 4 || starts.size() < count || ends.size() < count)
        throw refuse("it has too few starts and ends", std::to_string(count) + " of each", in);
    for (size_t i = 0; i < count; i++) {
        long long axis = axes.empty() ? (long long)i : axes[i];
        axis = sizes.size() == 1 ? 0 : axis < 0 ? axis + (long long)sizes.size() : axis;
        if (axis < 0 || axis >= (long long)sizes.size())
            throw refuse("it cuts along axis " + std::to_string(axes[i]), "an axis of its input", in);
        const long long size = sizes[(size_t)axis];
        const long long start = starts[i] == -233 ? 0 : starts[i], end = ends[i] == -233 ? size : ends[i];
        const long long offset = start >= 0 ? start : size + start;
        cuts[(size_t)axis] = {offset, std::min(size, end > 0 ? end : size + end) - offset};
    }
}

// Ids of what is said of w, h, d and c: offsets at the beginning, sizes, offsets at the end.
constexpr int crop_ids[4][3] = {{0, 3, 6}, {1, 4, 7}, {13, 14, 15}, {2, 5, 8}};

// w, h, d and c of an axis of these dimensions, outer first.
static int letter(int dims, int axis) { return dims == 3 && axis == 0 ? 3 : dims - 1 - axis; }

static void inside(const std::vector<Cut>& cuts, const std::vector<int>& sizes, const std::vector<Shape>& in)
{
    bool whole = true;
    for (size_t i = 0; i < sizes.size(); i++)
        whole = whole && cuts[i].size == sizes[i];
    for (size_t i = 0; i < sizes.size() && !whole; i++) // ncnn hands on the input if all of it is left
        if (cuts[i].offset < 0 || cuts[i].size < 1 || cuts[i].offset + cuts[i].size > sizes[i])
            throw refuse("it cuts " + std::to_string(cuts[i].size) + " from offset " +
                             std::to_string(cuts[i].offset) + " of an axis of size " +
                             std::to_string(sizes[i]),
                         "a part of its input", in);
}

static void crop(const LayerLine& l, const std::vector<Shape>& in)
{
    const Shape& x = in[0];
    const std::vector<int> sizes = x.sizes();
    std::vector<Cut> cuts;
    for (int size : sizes)
        cuts.push_back({0, size});
    const std::string starts = l.text(19), ends = l.text(20), axes = l.text(21);
    if (!starts.empty() && !ends.empty()) {
        if (axes.empty())
            throw refuse("it has expressions for starts and ends, and none for axes", "parameter 21", in);
        cut_between(cuts, sizes, evaluated(starts, in), evaluated(ends, in), evaluated(axes, in), in);
    } else if (in.size() > 1) {
        if (l.integer(0, 0) == -233)
            return; // the second input says where: check_values
        const Shape& like = in[1];
        const int wanted[4] = {like.w, like.h, like.d, like.dims == x.dims ? like.c : x.c};
        for (int i = 0; i < x.dims; i++)
            cuts[(size_t)i] = {l.integer(crop_ids[letter(x.dims, i)][0], 0), wanted[letter(x.dims, i)]};
    } else if (!l.array(9).empty() && !l.array(10).empty()) {
        cut_between(cuts, sizes, l.array(9), l.array(10), l.array(11), in);
    } else {
        for (int i = 0; i < x.dims; i++) {
            const int* ids = crop_ids[letter(x.dims, i)];
            const long long offset = l.integer(ids[0], 0), size = l.integer(ids[1], 0);
            const long long left = sizes[(size_t)i] - offset - l.integer(ids[2], 0);
            cuts[(size_t)i] = {offset, size == -233 ? left : std::min(size, left)};
        }
    }
    inside(cuts, sizes, in);
}

void check_crop_values(const std::vector<Shape>& in, const int* values)
{
    const Shape& x = in[0];
    const int half = x.dims == 4 ? 4 : 3; // offsets of w, h, (d,) c, and as many sizes
    const std::vector<int> sizes = x.sizes();
    if (in[1].total() < 2 * half || in[1].dims != 1)
        throw refuse("its second input is not its region", std::to_string(2 * half) + " whole numbers", in);
    std::vector<Cut> cuts;
    for (int i = 0; i < x.dims; i++) {
        const int at = x.dims == 3 && i == 0 ? 2 : x.dims - 1 - i;
        cuts.push_back({values[at], values[half + at]});
    }
    inside(cuts, sizes, in);
}

static void interp(const LayerLine& l, const std::vector<Shape>& in)
{
    const Shape& x = in[0];
    if (x.dims > 3)
        throw refuse("its input has the wrong number of dimensions", "1 to 3", in);
    double w = l.integer(4, 0), h = l.integer(3, 0);
    if (in.size() > 1) {
        w = in[1].w, h = in[1].h;
    } else if (w == 0 || h == 0) {
        w = (x.dims == 1 ? 1 : x.w) * (double)l.number(2, 1.f);
        h = (x.dims == 1 ? 1 : x.h) * (double)l.number(1, 1.f);
    }
    const std::string expression = l.text(9);
    if (!expression.empty()) {
        const std::vector<int> sizes = evaluated(expression, in);
        if (sizes.size() > 2)
            throw refuse("its expression gives " + std::to_string(sizes.size()) + " sizes", "1 or 2", in);
        w = sizes[0], h = sizes.size() > 1 ? sizes[1] : x.h;
    }
    if (x.dims == 2)
        h = x.h;
    if (!(w >= 1 && h >= 1 && w * h * x.outer() <= INT_MAX))
        throw refuse("its output would have an impossible size of " + std::to_string((long long)h) + " by " +
                         std::to_string((long long)w),
                     "1 or more each", in);
    const bool same = x.dims > 1 && (long long)w == x.w && (long long)h == x.h;
    if (l.integer(0, 0) == 0 && x.dims > 1 && !same)
        throw refuse("it does not say how to interpolate", "parameter 0: 1 nearest, 2 bilinear, 3 bicubic",
                     in);
}

std::vector<int> reshape_sizes(const LayerLine& l, const std::vector<Shape>& in)
{
    const std::string expression = l.text(6);
    if (!expression.empty())
        return evaluated(expression, in); // inner first
    // The last that are left out say how many there are (src/layer/reshape.cpp).
    const int w = l.integer(0, -233), h = l.integer(1, -233), d = l.integer(11, -233), c = l.integer(2, -233);
    std::vector<int> sizes = {w, h, d, c};
    if (d == -233)
        sizes = {w, h, c};
    if (c == -233)
        sizes = {w, h};
    if (h == -233)
        sizes = {w};
    if (w == -233)
        sizes.clear();
    return sizes;
}

// Tokens of the equation are letters from i on, one for each axis of an input.
static void einsum(const LayerLine& l, const std::vector<Shape>& in)
{
    std::string equation;
    for (int character : l.array(0))
        equation += (char)character;
    if (equation == "ii") {
        if (in.size() != 1 || in[0].dims != 2 || in[0].w != in[0].h)
            throw refuse("its input has no trace", "a square matrix", in);
        return;
    }
    std::vector<std::string> tokens(1);
    for (char c : equation.substr(0, equation.find('-'))) {
        if (c == ',')
            tokens.emplace_back();
        else
            tokens.back() += c;
    }
    if (tokens.size() != in.size())
        throw refuse("its equation is of another number of inputs", std::to_string(tokens.size()), in);
    int known[256] = {0};
    for (size_t i = 0; i < in.size(); i++) {
        const std::vector<int> sizes = in[i].sizes();
        if (tokens[i].size() != sizes.size())
            throw refuse("input " + std::to_string(i + 1) + " has other dimensions than its equation",
                         runtime::quoted(tokens[i]), in);
        for (size_t axis = 0; axis < sizes.size(); axis++) {
            int& size = known[(unsigned char)tokens[i][axis]];
            if (size && size != sizes[axis])
                throw refuse("its inputs differ along " + runtime::quoted(std::string(1, tokens[i][axis])),
                             "one size", in);
            size = sizes[axis];
        }
    }
    double work = 1, output = 1;
    for (int letter = 'i'; letter <= 'x'; letter++)
        work *= std::max(known[letter], 1);
    for (char c : equation.substr(equation.find('>') + 1))
        output *= std::max(known[(unsigned char)c], 1);
    if (work > 1LL << 34 || output > INT_MAX)
        throw refuse("it would take too long", "sizes whose product is at most 2^34", in);
}

HandCheck sizes_check(const std::string& type)
{
    static const std::unordered_map<std::string, HandCheck> table = {
        {"Crop", crop},
        {"Interp", interp},
        {"Einsum", einsum},
    };
    const auto found = table.find(type);
    return found == table.end() ? nullptr : found->second;
}

} // namespace runtime
