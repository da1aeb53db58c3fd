// Attention, and what turns its queries and keys. bad_arity has seen to the number of their inputs.
#include "checks.h"

#include <algorithm>
#include <unordered_map>

namespace runtime
{

// What is added to the scores: for each of `queries` and `keys`, for all heads or for each.
static void check_mask(const Shape& mask, int heads, int queries, int keys, const std::vector<Shape>& in)
{
    if ((mask.dims != 2 && mask.dims != 3) || mask.w != keys || mask.h != queries ||
        (mask.c != 1 && mask.c != heads))
        throw refuse("its mask does not fit its queries and keys",
                     "[" + std::to_string(queries) + ", " + std::to_string(keys) + "], or that for each of " +
                         std::to_string(heads) + " heads",
                     in);
}

static void multi_head(const LayerLine& l, const std::vector<Shape>& in)
{
    const bool masked = l.integer(5, 0) != 0;
    const int embed = l.integer(0, 0), blobs = (int)in.size() - masked;
    const int widths[] = {l.integer(2, 0) / embed, l.integer(3, embed), l.integer(4, embed)};
    static const char* const names[] = {"query", "key", "value"};
    const Shape* part[3];
    for (int i = 0; i < 3; i++) { // one blob is all three, the second of two is key and value
        part[i] = &in[(size_t)std::min(i, blobs - 1)];
        if (part[i]->dims != 2 || part[i]->w != widths[i])
            throw refuse(std::string("its ") + names[i] + " does not fit its weights",
                         "[rows, " + std::to_string(widths[i]) + "]", in);
    }
    if (part[1]->h != part[2]->h)
        throw refuse("its keys and values differ in number", "as many rows", in);
    if (masked)
        check_mask(in.back(), l.integer(1, 1), part[0]->h, part[1]->h, in);
}

static void scaled_dot_product(const LayerLine& l, const std::vector<Shape>& in)
{
    const Shape &query = in[0], &key = in[1], &value = in[2];
    for (const Shape* part : {&query, &key, &value})
        if (part->dims != 2 && part->dims != 3)
            throw refuse("its input has the wrong number of dimensions", "[heads, rows, size]", in);
    if (query.w != key.w || key.h != value.h || key.c != value.c || query.c % key.c)
        throw refuse("its query, key and value do not fit each other",
                     "query [heads, m, e], key [groups, n, e], value [groups, n, any], heads a multiple of "
                     "groups",
                     in);
    if (l.integer(5, 0))
        check_mask(in[3], query.c, query.h, key.h, in);
}

static void rotary(const LayerLine& l, const std::vector<Shape>& in)
{
    const Shape &x = in[0], &cosines = in[1], &sines = in[2];
    const int half = x.w / 2;
    const bool full = !l.integer(0, 0) && cosines.w == x.w; // interleaved pairs share one angle
    if ((x.dims != 2 && x.dims != 3) || x.w % 2)
        throw refuse("its input is not one of pairs", "[heads, rows, an even size]", in);
    if (cosines.dims != 2 || cosines.h < x.h || (cosines.w != half && !full) ||
        cosines.sizes() != sines.sizes())
        throw refuse("its cosines and sines do not fit its input",
                     "both [" + std::to_string(x.h) + " rows or more, " + std::to_string(half) + "]", in);
}

HandCheck attention_check(const std::string& type)
{
    static const std::unordered_map<std::string, HandCheck> table = {
        {"MultiHeadAttention", multi_head},
        {"SDPA", scaled_dot_product},
        {"RotaryEmbed", rotary},
    };
    const auto found = table.find(type);
    return found == table.end() ? nullptr : found->second;
}

} // namespace runtime
