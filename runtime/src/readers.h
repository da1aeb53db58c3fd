// The two ways in which ncnn pulls a net in, both from memory or a file of known length, neither reading past
// its end.
#pragma once

#include <datareader.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace runtime
{

// The text of a .param file. ncnn's own reader from memory measures the whole rest of the text for each
// token, which is quadratic; this one looks at a window.
class TextReader : public ncnn::DataReader
{
public:
    explicit TextReader(const std::string& text) : text(text) {}
    int scan(const char* format, void* p) const override;
    size_t offset() const { return position; }

private:
    const std::string& text;
    mutable size_t position = 0;
};

// Thrown out of ncnn's loading code when a layer wants more bytes than the .bin has left: asked before it
// allocates, so that an absurd size in a .param costs no memory.
struct ShortRead {
    size_t wanted, offset;
};

// The bytes of a .bin file; counts what was read.
class WeightReader : public ncnn::DataReader
{
public:
    explicit WeightReader(const std::filesystem::path& path);
    size_t read(void* buffer, size_t size) const override;
    size_t reference(size_t size, const void** buffer) const override;
    size_t offset() const { return position; }
    size_t size() const { return total; }

private:
    void demand(size_t size) const;
    mutable std::ifstream stream;
    mutable size_t position = 0;
    size_t total = 0;
};

// The size of a regular file that can be opened; raises a Fault of `kind` with the reason otherwise.
size_t checked_size(const std::filesystem::path& path, bool weights);

} // namespace runtime
