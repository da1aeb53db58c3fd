#include "pictures.h"

#include <runtime/src/fault.h>

#include <png.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <random>

namespace fs = std::filesystem;
using runtime::Fault;
using runtime::Kind;

namespace stylegan
{

// A name beside `path` that nothing has yet, not listed by `ls`.
static fs::path beside(const fs::path& path)
{
    char number[16];
    snprintf(number, sizeof(number), "%08x", (unsigned)std::random_device{}());
    return path.parent_path() / ("." + path.stem().u8string() + "-" + number + path.extension().u8string());
}

static Fault unwritable(const fs::path& path, const std::string& reason)
{
    Fault fault(Kind::option, "it cannot be written");
    fault.at(path.u8string()).because(reason);
    return fault;
}

static std::vector<unsigned char> encode(const fs::path& path, const Picture& picture, Packing packing)
{
    png_image image = {};
    image.version = PNG_IMAGE_VERSION;
    image.width = (png_uint_32)picture.width;
    image.height = (png_uint_32)picture.height;
    switch (picture.channels) {
    case 1:
        image.format = PNG_FORMAT_GRAY;
        break;
    case 3:
        image.format = PNG_FORMAT_RGB;
        break;
    case 4:
        image.format = PNG_FORMAT_RGBA;
        break;
    default:
        throw unwritable(path, "a picture has 1, 3 or 4 channels, not " + std::to_string(picture.channels));
    }
    if (packing == Packing::quick)
        image.flags = PNG_IMAGE_FLAG_FAST;
    png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
    std::vector<unsigned char> data(size);
    if (!png_image_write_to_memory(&image, data.data(), &size, 0, picture.values.data(), 0, nullptr))
        throw unwritable(path, image.message);
    data.resize(size);
    return data;
}

namespace
{

// A file that did not exist, under a temporary name; it disappears unless it is kept.
class NewFile
{
public:
    explicit NewFile(const fs::path& path)
        : target(path), name(beside(path)), file(fopen(name.string().c_str(), "wbx"))
    {
        if (!file)
            throw unwritable(target, strerror(errno));
    }
    ~NewFile()
    {
        if (file)
            fclose(file);
        std::error_code ignored;
        if (!kept)
            fs::remove(name, ignored);
    }
    NewFile(const NewFile&) = delete;

    void keep(const std::vector<unsigned char>& data)
    {
        const bool written = fwrite(data.data(), 1, data.size(), file) == data.size() && fflush(file) == 0;
        const int reason = errno;
        const bool closed = fclose(file) == 0; // some file systems say only here that they are full
        file = nullptr;
        if (!written || !closed)
            throw unwritable(target, strerror(written ? errno : reason));
        std::error_code error;
        fs::rename(name, target, error);
        if (error)
            throw unwritable(target, error.message());
        kept = true;
    }

private:
    fs::path target, name;
    FILE* file;
    bool kept = false;
};

} // namespace

void check_writable(const fs::path& path)
{
    std::error_code error;
    if (fs::is_directory(path, error))
        throw unwritable(path, "it is a folder");
    NewFile tried(path);
}

void write_png(const fs::path& path, const Picture& picture, Packing packing)
{
    const std::vector<unsigned char> data = encode(path, picture, packing);
    NewFile(path).keep(data);
}

// Whether it is a folder with nothing but files like 00012.png.
static bool holds_only_frames(const fs::path& path)
{
    if (!fs::is_directory(fs::symlink_status(path)))
        return false;
    for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
        const std::string stem = entry.path().stem().u8string();
        if (!entry.is_regular_file() || entry.path().extension() != ".png" || stem.size() != 5 ||
            stem.find_first_not_of("0123456789") != std::string::npos)
            return false;
    }
    return true;
}

FrameFolder::FrameFolder(fs::path folder) : path(std::move(folder))
{
    std::error_code error;
    if (fs::exists(fs::symlink_status(path, error)) && !holds_only_frames(path))
        throw Fault(Kind::option, "something else than a folder of frames has this name")
            .at(path.u8string())
            .remedy("Move it away");
    temporary = beside(path);
    if (!fs::create_directory(temporary, error))
        throw unwritable(path, error.message());
}

FrameFolder::~FrameFolder()
{
    std::error_code ignored;
    if (!temporary.empty())
        fs::remove_all(temporary, ignored);
}

std::string FrameFolder::name(int number)
{
    char text[32];
    snprintf(text, sizeof(text), "%05d.png", number);
    return text;
}

void FrameFolder::add(const Picture& picture)
{
    try {
        write_png(temporary / name(count), picture, Packing::quick); // for ffmpeg, not to be kept
    } catch (Fault& fault) {
        throw fault.at((path / name(count)).u8string());
    }
    count++;
}

void FrameFolder::finish()
{
    const fs::path earlier = beside(path);
    std::error_code error;
    const bool replaces = fs::exists(path, error);
    if (replaces)
        fs::rename(path, earlier, error);
    if (!error)
        fs::rename(temporary, path, error);
    if (error) {
        std::error_code ignored;
        if (replaces && !fs::exists(path, ignored))
            fs::rename(earlier, path, ignored);
        throw unwritable(path, error.message());
    }
    temporary.clear();
    fs::remove_all(earlier, error);
}

} // namespace stylegan
