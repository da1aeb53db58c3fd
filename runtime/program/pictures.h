// Pictures as PNG files, whole or not at all.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace stylegan
{

struct Picture {
    int width, height, channels;
    std::vector<unsigned char> values; // [height, width, channels]
};

// Raises a Fault unless `path` is no folder and its folder can be written into.
void check_writable(const std::filesystem::path& path);

// Quickly packed files are half as large again, and written in a fraction of the time.
enum class Packing { small, quick };

// Writes a picture of 1, 3 or 4 channels; `path` is replaced at the end. Raises a Fault where that is not
// possible, and leaves nothing then.
void write_png(const std::filesystem::path& path, const Picture& picture, Packing packing);

// A folder of numbered pictures, whole or not at all: it is filled under another name, and gets its own at
// the end.
class FrameFolder
{
public:
    // Raises a Fault where there is something called `path` that is not a folder of such pictures and of
    // nothing else, or where no folder can be made beside it.
    explicit FrameFolder(std::filesystem::path path);
    ~FrameFolder(); // removes all unless finished
    FrameFolder(const FrameFolder&) = delete;

    void add(const Picture& picture); // 00000.png, 00001.png, ...
    void finish();                    // an earlier folder of that name goes
    std::string last() const { return name(count - 1); }

private:
    static std::string name(int number);

    std::filesystem::path path, temporary;
    int count = 0;
};

} // namespace stylegan
