#include "predecessor.h"

#include <algorithm>
#include <set>

namespace runtime
{

static bool is_its_name(const std::string& name)
{
    const std::string start = "layer_";
    return name.size() == start.size() + 8 && name.compare(0, start.size(), start) == 0 &&
           std::all_of(name.begin() + start.size(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string as_today(const std::string& text, const std::vector<LayerLine>& lines)
{
    std::set<int> wanting; // numbers of lines
    for (const LayerLine& line : lines) {
        if (!is_its_name(line.name))
            return text;
        if (line.type == "Reduction" && !line.given(5))
            wanting.insert(line.line);
    }
    if (wanting.empty())
        return text;
    std::string result;
    int number = 1;
    for (size_t i = 0; i < text.size(); number++) {
        size_t end = std::min(text.find_first_of("\r\n", i), text.size());
        result += text.substr(i, end - i);
        if (wanting.count(number))
            result += " 5=1";
        const size_t next = end + (end < text.size()) + (text.compare(end, 2, "\r\n") == 0);
        result += text.substr(end, next - end);
        i = next;
    }
    return result;
}

} // namespace runtime
