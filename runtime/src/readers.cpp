#include "readers.h"

#include "fault.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace runtime
{

// ncnn's formats are one conversion with a width below 1024; the window holds one, and its leading white
// space is skipped first because a conversion of words skips any amount of it.
int TextReader::scan(const char* format, void* p) const
{
    constexpr size_t window_size = 1100;
    if (!strchr(format, '['))
        while (position < text.size() && isspace((unsigned char)text[position]))
            position++;
    if (position >= text.size())
        return 0;
    char window[window_size + 1];
    const size_t length = std::min(window_size, text.size() - position);
    memcpy(window, text.data() + position, length);
    window[length] = '\0';
    const std::string counted = std::string(format) + "%n";
    int consumed = 0;
    const int matched = sscanf(window, counted.c_str(), p, &consumed);
    position += (size_t)consumed;
    return consumed > 0 ? matched : 0;
}

WeightReader::WeightReader(const std::filesystem::path& path)
    : stream(path, std::ios::binary), total(checked_size(path, true))
{
}

void WeightReader::demand(size_t size) const
{
    if (size > total - position)
        throw ShortRead{size, position};
}

size_t WeightReader::read(void* buffer, size_t size) const
{
    demand(size);
    stream.read((char*)buffer, (std::streamsize)size);
    const size_t got = (size_t)stream.gcount();
    position += got;
    if (got != size)
        throw ShortRead{size, position}; // the file shrank while it was read
    return got;
}

// ncnn asks for a reference before it allocates and reads. We lend none, since the file may change under a
// mapping, but the question tells us the size in time.
size_t WeightReader::reference(size_t size, const void**) const
{
    demand(size);
    return 0;
}

size_t checked_size(const std::filesystem::path& path, bool weights)
{
    const Kind kind = weights ? Kind::weights : Kind::param;
    const std::string name = path.u8string();
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (!std::filesystem::exists(status))
        throw Fault(kind, "no such file").at(name);
    if (!std::filesystem::is_regular_file(status))
        throw Fault(kind, "not a regular file").at(name);
    const auto size = std::filesystem::file_size(path, error);
    if (error || !std::ifstream(path, std::ios::binary))
        throw Fault(kind, "the file cannot be read").at(name);
    return (size_t)size;
}

} // namespace runtime
