#include "archive.h"

#include "npy.h"

#include <runtime/src/fault.h>

#include <zlib.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>

using runtime::Fault;
using runtime::Kind;

namespace stylegan
{

static const size_t most_bytes = (size_t)1 << 27;

std::string Array::text() const
{
    std::vector<std::string> sizes;
    for (size_t size : shape)
        sizes.push_back(std::to_string(size));
    return type + " of [" + runtime::join(sizes) + "]";
}

static Fault damaged(const char* kind, const std::string& reason)
{
    return Fault(Kind::input, std::string("not a whole ") + kind + " file").because(reason);
}

static std::string read_regular(const std::string& path)
{
    std::error_code error;
    const std::filesystem::file_status status = std::filesystem::status(path, error);
    if (!std::filesystem::exists(status))
        throw Fault(Kind::input, "no such file");
    if (!std::filesystem::is_regular_file(status)) // a pipe would be waited for, a device never ends
        throw Fault(Kind::input, "the file cannot be read").because("it is no regular file");
    std::ifstream stream(path, std::ios::binary);
    if (!stream)
        throw Fault(Kind::input, "the file cannot be read").because(strerror(errno));
    const uintmax_t size = std::filesystem::file_size(path, error);
    if (error || size > most_bytes)
        throw Fault(Kind::input, "the file cannot be read")
            .because(error ? error.message() : "it has more than " + runtime::byte_count(most_bytes));
    std::string data((size_t)size, '\0');
    stream.read(data.data(), (std::streamsize)data.size());
    data.resize((size_t)stream.gcount());
    return data;
}

namespace
{

// What the directory of a zip archive says of an entry.
struct Entry {
    std::string name;
    unsigned flags, method;
    uint32_t checksum;
    size_t packed, size, place; // place: of its local header
};

// A zip archive in memory: stored and deflated entries, without ZIP64, encryption, or parts on other disks.
class Zip
{
public:
    explicit Zip(const std::string& data) : data(data) { read_directory(); }

    const std::vector<Entry>& list() const { return entries; }

    // The last one of that name, as Python's zipfile has it; null where there is none.
    const Entry* find(const std::string& name) const
    {
        for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry)
            if (entry->name == name)
                return &*entry;
        return nullptr;
    }

    std::string read(const Entry& entry) const
    {
        if (entry.flags & 1)
            throw damaged(".npz", entry.name + " is encrypted");
        if (entry.method != 0 && entry.method != 8)
            throw damaged(".npz", entry.name + " is packed by a method other than stored and deflated");
        if (entry.size > most_bytes)
            throw damaged(".npz", "an entry of more than " + runtime::byte_count(most_bytes));
        const size_t head = 30;
        need(entry.place, head);
        if (number(entry.place, 4) != 0x04034b50)
            throw damaged(".npz", entry.name + " has no header where the directory says");
        const size_t length = number(entry.place + 26, 2), extra = number(entry.place + 28, 2);
        need(entry.place + head, length + extra);
        if (data.compare(entry.place + head, length, entry.name) != 0)
            throw damaged(".npz", "its header calls " + entry.name + " by another name");
        const size_t start = entry.place + head + length + extra;
        need(start, entry.packed);
        const std::string result = entry.method == 0 ? stored(entry, start) : inflated(entry, start);
        if (crc32(0, (const Bytef*)result.data(), (uInt)result.size()) != entry.checksum)
            throw damaged(".npz", entry.name + " has another checksum");
        return result;
    }

private:
    // Little-endian, of at most 4 bytes, which have to be there.
    size_t number(size_t at, size_t bytes) const
    {
        size_t value = 0;
        for (size_t i = bytes; i-- > 0;)
            value = value << 8 | (unsigned char)data[at + i];
        return value;
    }

    void need(size_t at, size_t bytes) const
    {
        if (at > data.size() || bytes > data.size() - at)
            throw damaged(".npz", "it ends too early");
    }

    void read_directory()
    {
        const size_t tail = 22, longest_remark = 65535;
        if (data.size() < tail)
            throw damaged(".npz", "File is not a zip file");
        size_t end = data.size() - tail;
        const size_t first = end > longest_remark ? end - longest_remark : 0;
        while (number(end, 4) != 0x06054b50 || number(end + 20, 2) != data.size() - end - tail) {
            if (end == first)
                throw damaged(".npz", "File is not a zip file");
            end--;
        }
        const size_t count = number(end + 10, 2), size = number(end + 12, 4), place = number(end + 16, 4);
        if (number(end + 4, 2) || number(end + 6, 2) || number(end + 8, 2) != count)
            throw damaged(".npz", "it is in several parts");
        if (count == 0xffff || size == 0xffffffff || place == 0xffffffff)
            throw damaged(".npz", "it is a ZIP64 archive");
        if (place > end || size > end - place)
            throw damaged(".npz", "its directory lies outside");
        size_t at = place;
        for (size_t i = 0; i < count; i++) {
            const size_t head = 46;
            if (head > place + size - at || number(at, 4) != 0x02014b50)
                throw damaged(".npz", "its directory is damaged");
            Entry entry;
            entry.flags = (unsigned)number(at + 8, 2);
            entry.method = (unsigned)number(at + 10, 2);
            entry.checksum = (uint32_t)number(at + 16, 4);
            entry.packed = number(at + 20, 4);
            entry.size = number(at + 24, 4);
            entry.place = number(at + 42, 4);
            const size_t length = number(at + 28, 2);
            const size_t rest = length + number(at + 30, 2) + number(at + 32, 2);
            if (rest > place + size - at - head)
                throw damaged(".npz", "its directory is damaged");
            entry.name = data.substr(at + head, length);
            entries.push_back(std::move(entry));
            at += head + rest;
        }
        if (at != place + size)
            throw damaged(".npz", "its directory is damaged");
    }

    std::string stored(const Entry& entry, size_t start) const
    {
        if (entry.packed != entry.size)
            throw damaged(".npz", entry.name + " is stored, but of two sizes");
        return data.substr(start, entry.size);
    }

    std::string inflated(const Entry& entry, size_t start) const
    {
        if (entry.size / 1100 > entry.packed) // no deflated byte gives as much: no memory for a mere promise
            throw damaged(".npz", entry.name + " cannot be of its size");
        std::string result(entry.size, '\0');
        z_stream stream = {};
        if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
            throw std::bad_alloc();
        stream.next_in = (Bytef*)data.data() + start;
        stream.avail_in = (uInt)entry.packed;
        stream.next_out = (Bytef*)result.data();
        stream.avail_out = (uInt)result.size();
        const int status = inflate(&stream, Z_FINISH);
        const bool whole = status == Z_STREAM_END && stream.avail_in == 0 && stream.avail_out == 0;
        inflateEnd(&stream);
        if (!whole)
            throw damaged(".npz", entry.name + " cannot be unpacked");
        return result;
    }

    const std::string& data;
    std::vector<Entry> entries;
};

} // namespace

static std::string lower(std::string text)
{
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return (char)tolower(c); });
    return text;
}

static std::vector<std::pair<std::string, Array>> read_npz(const std::string& data,
                                                           const std::vector<std::string>& wanted)
{
    const Zip zip(data);
    if (!zip.find(wanted.front() + ".npy")) {
        std::vector<std::string> names;
        for (const Entry& entry : zip.list()) {
            const bool npy =
                entry.name.size() > 4 && entry.name.compare(entry.name.size() - 4, 4, ".npy") == 0;
            if (names.size() < 8)
                names.push_back(
                    entry.name.substr(0, std::min<size_t>(entry.name.size() - (npy ? 4 : 0), 60)));
        }
        throw Fault(Kind::input, "the file has no entry " + wanted.front())
            .wants(wanted.front())
            .has(runtime::join(names));
    }
    std::vector<std::pair<std::string, Array>> found;
    for (const std::string& name : wanted)
        if (const Entry* entry = zip.find(name + ".npy")) {
            try {
                found.emplace_back(name, parse_npy(zip.read(*entry)));
            } catch (const NotNpy& wrong) {
                throw damaged(".npz", name + ": " + wrong.reason);
            }
        }
    return found;
}

std::vector<std::pair<std::string, Array>> read_arrays(const std::string& path,
                                                       const std::vector<std::string>& wanted)
{
    const std::string suffix = lower(std::filesystem::path(path).extension().string());
    try {
        if (suffix != ".npz" && suffix != ".npy")
            throw Fault(Kind::input, "not a file of " + wanted.front()).wants(".npz or .npy");
        const std::string data = read_regular(path);
        if (suffix == ".npz")
            return read_npz(data, wanted);
        try {
            return {{wanted.front(), parse_npy(data)}};
        } catch (const NotNpy& wrong) {
            throw damaged(".npy", wrong.reason);
        }
    } catch (Fault& fault) {
        throw fault.at(path);
    }
}

} // namespace stylegan
