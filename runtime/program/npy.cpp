#include "npy.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace stylegan
{

namespace
{

struct Header {
    std::string descr;
    bool fortran_order = false;
    std::vector<size_t> shape;
};

// The header's dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (16, 128), }.
class Literal
{
public:
    explicit Literal(const std::string& text) : text(text) {}

    Header header()
    {
        Header header;
        unsigned seen = 0;
        expect('{');
        while (!take('}')) {
            const std::string key = quoted();
            expect(':');
            if (key == "descr" && !(seen & 1)) {
                seen |= 1;
                header.descr = quoted();
            } else if (key == "fortran_order" && !(seen & 2)) {
                seen |= 2;
                header.fortran_order = truth();
            } else if (key == "shape" && !(seen & 4)) {
                seen |= 4;
                header.shape = sizes();
            } else {
                throw NotNpy{"its header has a wrong key"};
            }
            if (!take(',')) {
                expect('}');
                break;
            }
        }
        skip();
        if (seen != 7 || at != text.size())
            throw NotNpy{"its header is not that of an array"};
        return header;
    }

private:
    void skip()
    {
        while (at < text.size() &&
               (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r'))
            at++;
    }

    bool take(char c)
    {
        skip();
        if (at == text.size() || text[at] != c)
            return false;
        at++;
        return true;
    }

    void expect(char c)
    {
        if (!take(c))
            throw NotNpy{"its header cannot be read"};
    }

    std::string quoted()
    {
        skip();
        const char quote = at < text.size() ? text[at] : '\0';
        if (quote == '[')
            throw NotNpy{"it holds records, not numbers"};
        if (quote != '\'' && quote != '"')
            throw NotNpy{"its header cannot be read"};
        const size_t end = text.find(quote, at + 1);
        if (end == std::string::npos || end - at > 40)
            throw NotNpy{"its header cannot be read"};
        const std::string found = text.substr(at + 1, end - at - 1);
        at = end + 1;
        return found;
    }

    bool truth()
    {
        skip();
        for (const char* const word : {"False", "True"})
            if (text.compare(at, strlen(word), word) == 0) {
                at += strlen(word);
                return word[0] == 'T';
            }
        throw NotNpy{"its header cannot be read"};
    }

    std::vector<size_t> sizes()
    {
        std::vector<size_t> found;
        expect('(');
        while (!take(')')) {
            skip();
            size_t value = 0, digits = 0;
            for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; at++, digits++)
                value = value * 10 + (size_t)(text[at] - '0');
            if (digits == 0 || digits > 9)
                throw NotNpy{"its header has a wrong shape"};
            found.push_back(value);
            if (found.size() > 3)
                throw NotNpy{"it has more than three dimensions"};
            if (!take(',')) {
                expect(')');
                break;
            }
        }
        return found;
    }

    const std::string& text;
    size_t at = 0;
};

} // namespace

static double half(uint64_t bits)
{
    const int exponent = (int)(bits >> 10 & 31);
    const double fraction = (double)(bits & 1023);
    const double sign = bits >> 15 ? -1 : 1;
    if (exponent == 31)
        return fraction != 0 ? std::numeric_limits<double>::quiet_NaN()
                             : sign * std::numeric_limits<double>::infinity();
    return sign * (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(fraction + 1024, exponent - 25));
}

// bytes: 1, 2, 4 or 8.
static double value_of(char kind, size_t bytes, uint64_t bits)
{
    if (kind == 'u')
        return (double)bits;
    if (kind == 'i') {
        const int unused = 64 - 8 * (int)bytes;
        return (double)((int64_t)(bits << unused) >> unused);
    }
    if (bytes == 2)
        return half(bits);
    if (bytes == 4) {
        const uint32_t word = (uint32_t)bits;
        float value;
        memcpy(&value, &word, sizeof(value));
        return value;
    }
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

Array parse_npy(const std::string& data)
{
    if (data.size() < 10 || data.compare(0, 6, "\x93NUMPY") != 0)
        throw NotNpy{"it has not the magic word of an array"};
    const unsigned major = (unsigned char)data[6], minor = (unsigned char)data[7];
    if ((major != 1 && major != 2) || minor != 0)
        throw NotNpy{"version (" + std::to_string(major) + ", " + std::to_string(minor) + ") of the format"};
    const size_t bytes_of_length = major == 1 ? 2 : 4, longest = 10000;
    size_t length = 0;
    for (size_t i = bytes_of_length; i-- > 0;)
        length = length << 8 | (8 + i < data.size() ? (unsigned char)data[8 + i] : 0);
    const size_t start = 8 + bytes_of_length;
    if (length > longest)
        throw NotNpy{"a header of " + std::to_string(length) + " bytes"};
    if (start + length > data.size())
        throw NotNpy{"it ends within its header"};
    const std::string text = data.substr(start, length);
    const Header header = Literal(text).header();

    const std::string& descr = header.descr;
    const std::string kinds = "fiu", orders = "<>|=";
    const bool number = descr.size() == 3 && orders.find(descr[0]) != std::string::npos &&
                        kinds.find(descr[1]) != std::string::npos &&
                        (descr[2] == '1' || descr[2] == '2' || descr[2] == '4' || descr[2] == '8') &&
                        descr.substr(1) != "f1";
    if (!number)
        throw NotNpy{"numbers of the type " + descr};
    const size_t bytes = (size_t)(descr[2] - '0'), body = data.size() - start - length;
    size_t count = 1;
    for (size_t size : header.shape) {
        if (size != 0 && count > data.size() / size)
            throw NotNpy{std::to_string(body) + " bytes for a larger array"};
        count *= size;
    }
    const size_t most = (size_t)1 << 26;
    if ((!header.shape.empty() && header.shape[0] > 4096) || count > most || count * bytes != body)
        throw NotNpy{std::to_string(body) + " bytes for an array of another size"};

    Array array;
    array.shape = header.shape;
    array.kind = descr[1];
    array.type = std::string(descr[1] == 'f'   ? "float"
                             : descr[1] == 'i' ? "int"
                                               : "uint") +
                 std::to_string(8 * bytes);
    array.values.resize(count);
    const size_t a = array.shape.size() > 0 ? array.shape[0] : 1,
                 b = array.shape.size() > 1 ? array.shape[1] : 1,
                 c = array.shape.size() > 2 ? array.shape[2] : 1;
    for (size_t i = 0; i < count; i++) {
        const unsigned char* const from = (const unsigned char*)data.data() + start + length + i * bytes;
        uint64_t bits = 0;
        for (size_t k = 0; k < bytes; k++)
            bits = bits << 8 | from[descr[0] == '>' ? k : bytes - 1 - k];
        const size_t place = header.fortran_order ? (i % a * b + i / a % b) * c + i / (a * b) : i;
        array.values[place] = (float)value_of(array.kind, bytes, bits);
    }
    return array;
}

} // namespace stylegan
