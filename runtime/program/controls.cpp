#include "controls.h"

#include <runtime/src/fault.h>
#include <runtime/src/param_line.h>

#include <algorithm>
#include <climits>
#include <cmath>
#include <cstdlib>
#include <set>

using runtime::Fault;
using runtime::Kind;
using runtime::quoted;

namespace stylegan
{

static const char* const keys[] = {"blend",       "edit",   "layers",    "move",
                                   "move_styles", "rotate", "translate", "zoom"};
static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
static const char digits[] = "0123456789";

static std::string key_of(const std::string& word)
{
    const size_t equals = word.find('=');
    const std::string key = word.substr(0, equals);
    const bool known = std::find(std::begin(keys), std::end(keys), key) != std::end(keys);
    return equals != std::string::npos && known ? key : std::string();
}

bool is_control(const std::string& word) { return !key_of(word).empty(); }

static Fault wrong(const std::string& key, const char* what, const char* expected, const std::string& got)
{
    return Fault(Kind::option, key + "= " + what).wants(expected).has(quoted(got));
}

static std::vector<std::string> pieces(const std::string& text, char separator)
{
    std::vector<std::string> found(1);
    for (char c : text) {
        if (c == separator)
            found.emplace_back();
        else
            found.back() += c;
    }
    return found;
}

// Digits alone. What is larger than an int is as large as one: those who know say that there is not as much.
static bool index_of(const std::string& text, int& value)
{
    if (text.empty() || text.find_first_not_of(digits) != std::string::npos)
        return false;
    long long number = 0;
    for (char c : text)
        number = std::min<long long>(number * 10 + (c - '0'), INT_MAX);
    value = (int)number;
    return true;
}

static float real(const std::string& key, const std::string& text, const char* expected)
{
    float value = 0;
    if (!runtime::parse_real(text, value))
        throw wrong(key, "is not a number", expected, text);
    return value;
}

static bool range(const std::string& text, Range& found)
{
    const size_t dash = text.find('-');
    if (dash == std::string::npos)
        return index_of(text, found.first) && index_of(text, found.last);
    return index_of(text.substr(0, dash), found.first) && index_of(text.substr(dash + 1), found.last) &&
           found.first <= found.last;
}

static std::vector<Range> ranges(const std::string& key, const std::string& text)
{
    std::vector<Range> found;
    for (const std::string& piece : pieces(text, ',')) {
        found.emplace_back();
        if (!range(piece, found.back()))
            throw wrong(key, "is not a list of styles", "such as 0-6 or 0,2,8-11", text);
    }
    return found;
}

// b, b0.3 or b-0.3
static bool share(const std::string& text, std::pair<int, double>& found)
{
    const size_t place = text.empty() ? std::string::npos : std::string(letters).find(text[0]);
    const std::string number = text.substr(std::min<size_t>(1, text.size()));
    float finite = 1;
    if (place == std::string::npos || number.find_first_of("+eE") != std::string::npos ||
        (!number.empty() && !runtime::parse_real(number, finite)))
        return false;
    found = {(int)place, number.empty() ? 1 : strtod(number.c_str(), nullptr)};
    return true;
}

// `0-6:b,7:b0.3+c0.2`: styles 0 to 6 are those of the second seed, b; of style 7 it gives 0.3, the third seed
// 0.2, and the first what is left.
static std::vector<Piece> blend(const std::string& text)
{
    const double most = 4;
    std::vector<Piece> found;
    for (const std::string& piece : pieces(text, ',')) {
        const size_t colon = piece.find(':');
        Piece made;
        bool good = colon != std::string::npos && range(piece.substr(0, colon), made.styles);
        if (good)
            for (const std::string& part : pieces(piece.substr(colon + 1), '+')) {
                made.parts.emplace_back();
                good = good && share(part, made.parts.back());
            }
        if (!good)
            throw wrong("blend", "is not a list of styles and what they take",
                        "such as blend=0-6:b,7:b0.3+c0.2, where b is the second seed", piece);
        std::set<int> seeds;
        for (const auto& [seed, how_much] : made.parts) {
            if (seed == 0 || !seeds.insert(seed).second)
                throw wrong("blend", "has a seed too many",
                            "each of b, c ... once; the first seed, a, takes what they leave", piece);
            if (std::abs(how_much) > most)
                throw wrong("blend", "is out of range", "-4 to 4", piece);
        }
        for (const Piece& other : found)
            if (made.styles.first <= other.styles.last && other.styles.first <= made.styles.last)
                throw wrong("blend", "needs each style once", "ranges that rise", piece);
        found.push_back(made);
    }
    return found;
}

static std::vector<std::pair<int, float>> move(const std::string& text)
{
    const char* const expected = "such as move=0:2.5,3:-1";
    std::vector<std::pair<int, float>> found;
    for (const std::string& piece : pieces(text, ',')) {
        const size_t colon = piece.find(':');
        int number = 0;
        bool good = colon != std::string::npos && index_of(piece.substr(0, colon), number);
        for (const auto& [other, far] : found)
            good = good && other != number;
        if (!good)
            throw wrong("move", "is not a list of directions", expected, piece);
        found.emplace_back(number, real("move", piece.substr(colon + 1), expected));
    }
    return found;
}

// `FILE:3:+2.5,FILE:0:-1`: a path may hold commas and colons, so that it ends before the first
// :NUMBER:HOW_FAR.
static std::vector<Edit> edit(const std::string& text)
{
    const char* const expected = "FILE:DIRECTION:HOW_FAR, such as edit=faces_pca.npz:3:+2.5";
    std::vector<Edit> found;
    std::string rest = text;
    while (!rest.empty()) {
        Edit made;
        size_t end = 0;
        for (size_t colon = rest.find(':', 1); colon != std::string::npos && !end;
             colon = rest.find(':', colon + 1)) {
            const size_t second = rest.find(':', colon + 1);
            if (second == std::string::npos ||
                !index_of(rest.substr(colon + 1, second - colon - 1), made.number))
                continue;
            const size_t after = std::min(rest.find_first_of(":,", second + 1), rest.size());
            const bool last = after == rest.size();
            if (after == second + 1 || (!last && (rest[after] == ':' || after + 1 == rest.size())))
                continue;
            made.path = rest.substr(0, colon);
            made.far = real("edit", rest.substr(second + 1, after - second - 1),
                            "such as edit=faces_pca.npz:3:+2.5");
            end = last ? after : after + 1;
        }
        if (!end)
            throw wrong("edit", "is not a list of directions in files", expected, rest);
        found.push_back(made);
        rest = rest.substr(end);
    }
    return found;
}

static float within(const char* key, float value, float low, float high, const char* expected)
{
    if (!(value >= low && value <= high))
        throw Fault(Kind::option, std::string(key) + "= is out of range")
            .wants(expected)
            .has(std::to_string(value));
    return value;
}

static std::pair<float, float> translate(const std::string& text)
{
    const char* const expected = "two numbers, such as translate=0.1,-0.05";
    const std::vector<std::string> both = pieces(text, ',');
    if (both.size() != 2)
        throw wrong("translate", "is not two numbers", expected, text);
    const auto widths = [&](const std::string& word) {
        return within("translate", real("translate", word, expected), -1000, 1000, "-1000 to 1000 widths");
    };
    return {widths(both[0]), widths(both[1])};
}

Controls parse_controls(const std::vector<std::string>& words)
{
    Controls controls;
    std::set<std::string> given;
    for (const std::string& word : words) {
        const std::string key = key_of(word), value = word.substr(key.size() + 1);
        if (!given.insert(key).second)
            throw Fault(Kind::option, key + "= is given twice");
        if (value.empty())
            throw Fault(Kind::option, key + "= has no value");
        if (key == "blend")
            controls.blend = blend(value);
        else if (key == "edit")
            controls.edit = edit(value);
        else if (key == "layers")
            controls.layers = ranges(key, value);
        else if (key == "move")
            controls.move = move(value);
        else if (key == "move_styles")
            controls.move_styles = ranges(key, value);
        else if (key == "rotate")
            controls.rotate = within("rotate", real(key, value, "such as rotate=20"), -1e6f, 1e6f,
                                     "-1000000 to 1000000 degrees");
        else if (key == "translate")
            controls.translate = translate(value);
        else
            controls.zoom = within("zoom", real(key, value, "such as zoom=1.5"), 1e-2f, 1e2f, "0.01 to 100");
    }
    if (!controls.move_styles.empty() && controls.move.empty())
        throw Fault(Kind::option, "move_styles= is about move=").wants("move=").has("no move=");
    if (!controls.layers.empty() && controls.edit.empty())
        throw Fault(Kind::option, "layers= is about edit=").wants("edit=").has("no edit=");
    return controls;
}

// The inverse of [[c, s, x], [-s, c, y], [0, 0, 1]], where c and s are zoom times cosine and sine.
std::vector<float> Controls::transform() const
{
    const double pi = 3.141592653589793;
    const double angle = (double)rotate.value_or(0) * (pi / 180), scale = zoom.value_or(1);
    const double c = scale * std::cos(angle), s = scale * std::sin(angle), square = c * c + s * s;
    const double x = translate ? translate->first : 0, y = translate ? translate->second : 0;
    const double cos = c / square, sin = s / square;
    return {(float)cos, (float)-sin, (float)(sin * y - cos * x),
            (float)sin, (float)cos,  (float)-(sin * x + cos * y),
            0,          0,           1};
}

std::vector<int> styles_of(const char* key, const std::vector<Range>& ranges, int num_ws)
{
    std::set<int> found;
    for (const Range& range : ranges) {
        if (range.last >= num_ws)
            throw Fault(Kind::option, std::string(key) + "= is out of range")
                .wants("0 to " + std::to_string(num_ws - 1))
                .has(std::to_string(range.last));
        for (int style = range.first; style <= range.last; style++)
            found.insert(style);
    }
    return {found.begin(), found.end()};
}

} // namespace stylegan
