#include "seeds.h"

#include <runtime/src/fault.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>

using runtime::byte_count;
using runtime::Fault;
using runtime::Kind;

namespace stylegan
{

static uint32_t little_endian(const unsigned char* bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

std::vector<float> read_seed(const std::string& path, int z_dim)
{
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (!std::filesystem::exists(status))
        throw Fault(Kind::input, "no such seed file").at(path);
    std::ifstream stream(path, std::ios::binary);
    if (std::filesystem::is_directory(status) || !stream)
        throw Fault(Kind::input, "the seed file cannot be read").at(path);

    const size_t size = 4 + 4 * (size_t)z_dim;
    std::vector<unsigned char> data(size + 1); // one more, to see that nothing follows
    stream.read((char*)data.data(), (std::streamsize)data.size());
    const size_t got = (size_t)stream.gcount();
    if (got != size)
        throw Fault(Kind::input, "the seed file has the wrong length")
            .at(path)
            .wants(byte_count(size) + " (an int32 zero and " + std::to_string(z_dim) + " float32)")
            .has(got < size ? byte_count(got) : "more");
    if (little_endian(data.data()) != 0)
        throw Fault(Kind::input, "not a seed file").at(path).wants("an int32 zero at its start");
    std::vector<float> z((size_t)z_dim);
    for (size_t i = 0; i < z.size(); i++) {
        const uint32_t bits = little_endian(data.data() + 4 + 4 * i);
        memcpy(&z[i], &bits, sizeof(bits));
        if (!std::isfinite(z[i]))
            throw Fault(Kind::input, "the seed file holds NaN or infinity").at(path);
    }
    return z;
}

} // namespace stylegan
