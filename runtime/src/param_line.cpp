#include "param_line.h"

#include <climits>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <sstream>

namespace runtime
{

static bool blank(char c) { return c == ' ' || c == '\t' || c == '\v' || c == '\f'; }

static bool digit(char c) { return c >= '0' && c <= '9'; }

static bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool parse_int(const std::string& token, int& value)
{
    size_t i = !token.empty() && (token[0] == '-' || token[0] == '+');
    if (i == token.size() || token.size() > 31)
        return false;
    long long magnitude = 0;
    for (; i < token.size(); i++) {
        if (!digit(token[i]))
            return false;
        magnitude = magnitude * 10 + (token[i] - '0');
        if (magnitude > (long long)INT_MAX + 1)
            return false;
    }
    if (token[0] == '-')
        magnitude = -magnitude;
    if (magnitude > INT_MAX)
        return false;
    value = (int)magnitude;
    return true;
}

bool parse_real(const std::string& token, float& value)
{
    if (token.empty() || token.size() > 127)
        return false;
    size_t i = token[0] == '-' || token[0] == '+';
    bool digits = false;
    for (; i < token.size() && digit(token[i]); i++)
        digits = true;
    if (i < token.size() && token[i] == '.')
        for (i++; i < token.size() && digit(token[i]); i++)
            digits = true;
    if (!digits)
        return false;
    if (i < token.size() && (token[i] == 'e' || token[i] == 'E')) {
        i++;
        if (i < token.size() && (token[i] == '-' || token[i] == '+'))
            i++;
        if (i == token.size())
            return false;
        while (i < token.size() && digit(token[i]))
            i++;
    }
    value = (float)strtod(token.c_str(), nullptr);
    return i == token.size() && std::isfinite(value);
}

static bool looks_real(const std::string& token) { return token.find_first_of(".eE") != std::string::npos; }

std::vector<std::string> split_words(const std::string& line)
{
    std::vector<std::string> words;
    for (size_t i = 0; i < line.size();) {
        while (i < line.size() && blank(line[i]))
            i++;
        const size_t start = i;
        while (i < line.size() && !blank(line[i]))
            i++;
        if (i > start)
            words.push_back(line.substr(start, i - start));
    }
    return words;
}

static std::vector<std::string> split_commas(const std::string& value)
{
    std::vector<std::string> parts(1);
    for (char c : value) {
        if (c == ',')
            parts.emplace_back();
        else
            parts.back() += c;
    }
    return parts;
}

static Fault bad_value(int id, const std::string& got, const char* expected)
{
    Fault fault(Kind::param, "parameter " + std::to_string(id) + " has a bad value");
    fault.wants(expected).has(quoted(got));
    return fault;
}

// Elements of an old array (count,a,b,...) say each for itself what they are, and the last says it for the
// array; otherwise the first does.
static Param parse_numbers(int id, const std::vector<std::string>& elements, bool array, bool old_array)
{
    Param param;
    bool real = !elements.empty() && looks_real(elements[0]);
    for (const std::string& element : elements) {
        real = old_array ? looks_real(element) : real;
        int word = 0;
        float value = 0;
        if (real ? !parse_real(element, value) : !parse_int(element, word))
            throw bad_value(id, element, real ? "a finite number" : "a whole number of 32 bits");
        if (real)
            memcpy(&word, &value, sizeof word);
        param.words.push_back(word);
    }
    param.type = array ? (real ? Param::Type::reals : Param::Type::integers)
                       : (real ? Param::Type::real : Param::Type::integer);
    return param;
}

static Param parse_value(int id, const std::string& value, bool old_array)
{
    if (value.empty())
        throw bad_value(id, value, "a value after '='");
    if (old_array) { // count,a,b,...
        std::vector<std::string> elements = split_commas(value);
        int count = 0;
        if (!parse_int(elements[0], count) || count < 0)
            throw bad_value(id, elements[0], "the length of the array");
        elements.erase(elements.begin());
        if ((size_t)count != elements.size())
            throw bad_value(id, std::to_string(elements.size()) + " elements",
                            (std::to_string(count) + " elements, as its length says").c_str());
        return parse_numbers(id, elements, true, true);
    }
    if (value[0] == '"' || letter(value[0])) {
        std::string word;
        for (char c : value.substr(0, 8))
            word += (char)(c | 0x20);
        if (word == "nan" || word == "inf" || word == "infinity")
            throw bad_value(id, value, "a finite number");
        if (value.size() > 255)
            throw bad_value(id, value, "at most 255 characters");
        return Param{Param::Type::text, {}, value[0] == '"' ? value.substr(1, value.size() - 2) : value};
    }
    std::vector<std::string> elements = split_commas(value);
    const bool array = elements.size() > 1;
    if (array && elements.back().empty())
        elements.pop_back(); // "5," is an array of one
    return parse_numbers(id, elements, array, false);
}

// The `k=v` part. A quoted value may hold blanks, so it is not split into words first.
static void parse_params(const std::string& line, size_t i, LayerLine& layer)
{
    while (true) {
        while (i < line.size() && blank(line[i]))
            i++;
        if (i == line.size())
            return;
        const size_t start = i;
        while (i < line.size() && !blank(line[i]) && line[i] != '=')
            i++;
        const std::string key = line.substr(start, i - start);
        int id = 0;
        if (i == line.size() || line[i] != '=' || key.size() > 15 || !parse_int(key, id))
            throw Fault(Kind::param, "not a parameter").wants("id=value").has(quoted(key));
        const bool old_array = id <= -23300;
        if (old_array)
            id = -(id + 23300);
        if (id < 0 || id > 31)
            throw Fault(Kind::param, "no such parameter id").wants("0 to 31").has(quoted(key));
        const size_t value_start = ++i;
        if (i < line.size() && line[i] == '"') {
            i = line.find('"', i + 1);
            if (i == std::string::npos)
                throw bad_value(id, line.substr(value_start), "a closing quotation mark");
            i++;
            if (i < line.size() && !blank(line[i]))
                throw bad_value(id, line.substr(value_start), "a blank after the quotation mark");
        } else {
            while (i < line.size() && !blank(line[i]))
                i++;
        }
        const Param param = parse_value(id, line.substr(value_start, i - value_start), old_array);
        if (!layer.params.emplace(id, param).second)
            throw Fault(Kind::param, "parameter " + std::to_string(id) + " is given twice");
    }
}

LayerLine parse_layer_line(const std::string& line)
{
    LayerLine layer;
    size_t i = 0;
    auto word = [&](const char* expected) {
        while (i < line.size() && blank(line[i]))
            i++;
        const size_t start = i;
        while (i < line.size() && !blank(line[i]))
            i++;
        const std::string text = line.substr(start, i - start);
        if (text.empty())
            throw Fault(Kind::param, "the line ends too early").wants(expected);
        if (text.size() > 255)
            throw Fault(Kind::param, "a name is too long").wants("at most 255 characters").has(quoted(text));
        return text;
    };
    auto count = [&](const char* expected) {
        const std::string text = word(expected);
        int value = 0;
        if (!parse_int(text, value) || value < 0)
            throw Fault(Kind::param, "a bad count").wants(expected).has(quoted(text));
        return value;
    };
    layer.type = word("a layer type");
    try {
        layer.name = word("a layer name");
        const int bottoms = count("the number of inputs");
        const int tops = count("the number of outputs");
        auto blob = [&](const char* what, int number, int total) {
            const std::string text =
                word((std::string(what) + " " + std::to_string(number + 1) + " of " + std::to_string(total))
                         .c_str());
            int ignored = 0;
            const size_t equals = text.find('=');
            if (equals != std::string::npos && parse_int(text.substr(0, equals), ignored))
                throw Fault(Kind::param, "a parameter where a blob name belongs")
                    .wants(std::to_string(bottoms) + " inputs and " + std::to_string(tops) + " outputs")
                    .has(quoted(text));
            return text;
        };
        for (int j = 0; j < bottoms; j++)
            layer.bottoms.push_back(blob("input", j, bottoms));
        for (int j = 0; j < tops; j++)
            layer.tops.push_back(blob("output", j, tops));
        parse_params(line, i, layer);
    } catch (Fault& fault) {
        throw fault.in(layer.name, layer.type);
    }
    return layer;
}

float Param::number(float fallback) const
{
    if (type == Type::integer)
        return (float)words[0];
    if (type == Type::real)
        memcpy(&fallback, words.data(), sizeof fallback);
    return fallback;
}

std::string Param::said() const
{
    if (type == Type::text)
        return quoted(text);
    std::vector<std::string> parts;
    for (size_t i = 0; i < words.size() && i < 8; i++) {
        std::ostringstream part;
        float value;
        memcpy(&value, &words[i], sizeof value);
        if (type == Type::real || type == Type::reals)
            part << value;
        else
            part << words[i];
        parts.push_back(part.str());
    }
    if (words.size() > parts.size())
        parts.emplace_back("...");
    const bool array = type == Type::integers || type == Type::reals;
    return array ? "[" + join(parts) + "]" : join(parts);
}

int LayerLine::integer(int id, int fallback) const
{
    const auto found = params.find(id);
    return found != params.end() && found->second.type == Param::Type::integer ? found->second.words[0]
                                                                               : fallback;
}

float LayerLine::number(int id, float fallback) const
{
    const auto found = params.find(id);
    return found == params.end() ? fallback : found->second.number(fallback);
}

const std::vector<int>& LayerLine::array(int id) const
{
    static const std::vector<int> none;
    const auto found = params.find(id);
    const bool array = found != params.end() && (found->second.type == Param::Type::integers ||
                                                 found->second.type == Param::Type::reals);
    return array ? found->second.words : none;
}

std::string LayerLine::text(int id) const
{
    const auto found = params.find(id);
    return found != params.end() && found->second.type == Param::Type::text ? found->second.text : "";
}

} // namespace runtime
