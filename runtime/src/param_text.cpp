#include "param_text.h"

#include "param_line.h"

#include <cstring>
#include <unordered_map>
#include <unordered_set>

namespace runtime
{

static constexpr int max_count = 1000000; // ncnn's own limit

// A name for what the file is instead, where its first bytes tell; empty for plausible text.
static std::string foreign(const std::string& text)
{
    auto starts = [&](const char* magic, size_t size) {
        return text.size() >= size && memcmp(text.data(), magic, size) == 0;
    };
    if (starts("\xdd\x85\x76\x00", 4))
        return "a binary .param.bin";
    if (starts("\x89PNG", 4))
        return "a PNG picture";
    if (starts("\xff\xd8\xff", 3))
        return "a JPEG picture";
    if (starts("PK\x03\x04", 4))
        return "a zip archive (a torch file?)";
    if (starts("\x80\x02", 2) || starts("\x80\x04", 2))
        return "a Python pickle";
    if (starts("{", 1) || starts("[", 1))
        return "JSON";
    for (unsigned char c : text)
        if ((c < 32 && !strchr("\t\n\v\f\r", c)) || c == 127 || c == 0)
            return "binary data";
    return "";
}

// Whether all bytes form UTF-8: names travel to Python as str.
static bool is_utf8(const std::string& line)
{
    for (size_t i = 0; i < line.size();) {
        const unsigned char c = (unsigned char)line[i++];
        int more = c < 0x80                ? 0
                   : c >= 0xc2 && c < 0xe0 ? 1
                   : (c & 0xf0) == 0xe0    ? 2
                   : c >= 0xf0 && c < 0xf5 ? 3
                                           : -1;
        if (more < 0)
            return false;
        const int length = more;
        for (; more > 0; more--, i++) {
            if (i >= line.size() || ((unsigned char)line[i] & 0xc0) != 0x80)
                return false;
            const unsigned char next = (unsigned char)line[i];
            if (more == length) { // overlong forms, surrogates, beyond U+10FFFF
                if (c == 0xe0 && next < 0xa0)
                    return false;
                if (c == 0xed && next > 0x9f)
                    return false;
                if (c == 0xf0 && next < 0x90)
                    return false;
                if (c == 0xf4 && next > 0x8f)
                    return false;
            }
        }
    }
    return true;
}

namespace
{

// What is known while the lines go by.
struct Seen {
    std::unordered_set<std::string> made, used;

    void add(const LayerLine& layer)
    {
        for (const std::string& bottom : layer.bottoms) {
            if (!made.count(bottom))
                throw Fault(Kind::param, "its input " + quoted(bottom) + " is made by no layer above")
                    .in(layer.name, layer.type);
            if (!used.insert(bottom).second)
                throw Fault(Kind::param,
                            "its input " + quoted(bottom) + " is already consumed by a layer above")
                    .in(layer.name, layer.type)
                    .remedy("A blob has one consumer; put a Split before two");
        }
        for (const std::string& top : layer.tops)
            if (!made.insert(top).second)
                throw Fault(Kind::param, "its output " + quoted(top) + " is already made by a layer above")
                    .in(layer.name, layer.type);
    }
};

} // namespace

// As ncnn takes them: more blobs than there are do no harm.
static void check_count(const char* what, int said, size_t found, bool more, const std::string& file,
                        int line)
{
    if ((size_t)said == found || (more && (size_t)said > found))
        return;
    throw Fault(Kind::param, std::string("the number of ") + what + " does not match what follows")
        .at(file, line)
        .wants(std::to_string(said))
        .has(std::to_string(found))
        .remedy((size_t)said > found ? "The file is probably truncated" : "");
}

std::vector<LayerLine> parse_param(const std::string& text, const std::string& file,
                                   const std::function<void(const LayerLine&)>& check)
{
    const char* advice = "Give the .param text file that was written for the network";
    if (text.empty())
        throw Fault(Kind::param, "the file is empty").at(file).remedy(advice);
    const std::string other = foreign(text);
    if (!other.empty())
        throw Fault(Kind::param, "not a .param text file").at(file).has(other).remedy(advice);

    std::vector<LayerLine> layers;
    Seen seen;
    int number = 0, layer_count = -1, blob_count = -1, count_line = 0;
    bool magic = false;
    for (size_t i = 0; i < text.size();) {
        const size_t end = text.find_first_of("\r\n", i);
        const std::string line = text.substr(i, end == std::string::npos ? end : end - i);
        i = end == std::string::npos ? text.size() : end + 1;
        if (end != std::string::npos && text[end] == '\r' && i < text.size() && text[i] == '\n')
            i++;
        number++;
        try {
            if (!is_utf8(line))
                throw Fault(Kind::param, "the line is not UTF-8 text");
            const std::vector<std::string> words = split_words(line);
            if (words.empty())
                continue;
            if (!magic) {
                if (words.size() != 1 || words[0] != "7767517")
                    throw Fault(Kind::param,
                                "not a .param file of ncnn: the first line is not its magic number")
                        .wants("7767517")
                        .has(quoted(line))
                        .remedy(advice);
                magic = true;
            } else if (layer_count < 0) {
                if (words.size() != 2 || !parse_int(words[0], layer_count) ||
                    !parse_int(words[1], blob_count) || layer_count < 1 || blob_count < 1 ||
                    layer_count > max_count || blob_count > max_count)
                    throw Fault(Kind::param, "bad counts of layers and blobs")
                        .wants("two numbers between 1 and 1000000")
                        .has(quoted(line));
                count_line = number;
            } else {
                LayerLine layer = parse_layer_line(line);
                // ncnn reads no further than the count; a Noop that it does not read is not missed
                if (layers.size() >= (size_t)layer_count && layer.type == "Noop")
                    continue;
                layers.push_back(std::move(layer));
                layers.back().line = number;
                seen.add(layers.back());
                try {
                    check(layers.back());
                } catch (Fault& fault) {
                    throw fault.in(layers.back().name, layers.back().type);
                }
            }
        } catch (Fault& fault) {
            if (end == std::string::npos && magic && fault.fix.empty())
                fault.remedy("The file ends within this line: it is probably truncated");
            throw fault.at(file, number);
        }
    }
    if (!magic)
        throw Fault(Kind::param, "the file holds only blanks").at(file).remedy(advice);
    if (layer_count < 0)
        throw Fault(Kind::param, "the file ends before its counts of layers and blobs").at(file, number);
    check_count("layers", layer_count, layers.size(), false, file, count_line);
    check_count("blobs", blob_count, seen.made.size(), true, file, count_line);
    return layers;
}

} // namespace runtime
