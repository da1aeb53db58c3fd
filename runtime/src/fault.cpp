#include "fault.h"

#include <algorithm>
#include <utility>

namespace runtime
{

Fault& Fault::at(std::string path, int number)
{
    file = std::move(path);
    line = number;
    return *this;
}

Fault& Fault::in(std::string name, std::string type)
{
    layer = std::move(name);
    layer_type = std::move(type);
    return *this;
}

Fault& Fault::wants(std::string value)
{
    expected = std::move(value);
    return *this;
}

Fault& Fault::has(std::string value)
{
    got = std::move(value);
    return *this;
}

Fault& Fault::because(std::string value)
{
    reason = std::move(value);
    return *this;
}

Fault& Fault::remedy(std::string value)
{
    fix = std::move(value);
    return *this;
}

std::string Fault::message() const
{
    std::string all;
    if (!file.empty())
        all += file + (line ? ":" + std::to_string(line) : "") + ": ";
    if (!layer.empty() || !layer_type.empty())
        all +=
            "layer " + (layer.empty() ? "?" : layer) + " (" + (layer_type.empty() ? "?" : layer_type) + "): ";
    all += text;
    if (!expected.empty())
        all += "; expected " + expected;
    if (!got.empty())
        all += "; got " + got;
    if (!reason.empty())
        all += "; reason: " + reason;
    if (!fix.empty())
        all += ". " + fix;
    return all;
}

static size_t edit_distance(const std::string& a, const std::string& b)
{
    std::vector<size_t> row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); j++)
        row[j] = j;
    for (size_t i = 1; i <= a.size(); i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); j++) {
            const size_t above = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
            diagonal = above;
        }
    }
    return row[b.size()];
}

std::vector<std::string> nearest(const std::string& name, const std::vector<std::string>& names)
{
    std::vector<std::pair<size_t, std::string>> scored;
    for (const std::string& candidate : names) {
        const bool inside = name.size() > 2 && candidate.find(name) != std::string::npos;
        const size_t distance = inside ? 1 : edit_distance(name, candidate);
        if (distance <= std::max<size_t>(1, name.size() / 3))
            scored.emplace_back(distance, candidate);
    }
    std::sort(scored.begin(), scored.end());
    std::vector<std::string> result;
    for (size_t i = 0; i < scored.size() && i < 3; i++)
        result.push_back(scored[i].second);
    return result;
}

std::string join(const std::vector<std::string>& parts, const char* separator)
{
    std::string text;
    for (const std::string& part : parts)
        text += (text.empty() ? "" : separator) + part;
    return text;
}

std::string quoted(const std::string& name)
{
    return "'" + (name.size() > 60 ? name.substr(0, 57) + "..." : name) + "'";
}

std::string byte_count(size_t number) { return std::to_string(number) + (number == 1 ? " byte" : " bytes"); }

} // namespace runtime
