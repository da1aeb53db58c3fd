#include "arguments.h"

#include <runtime/src/fault.h>
#include <runtime/src/machine.h>
#include <runtime/src/param_line.h>

using runtime::Fault;
using runtime::Kind;

namespace stylegan
{

const char* const usage = R"(usage: stylegan 0 Z_DIM NUM_WS TRUNC SEED NETS [--fp16]
       stylegan 1 Z_DIM NUM_WS TRUNC SEED_A SEED_B NETS STYLE... [--fp16]
       stylegan 2 Z_DIM NUM_WS TRUNC SEED_A SEED_B NETS FRAMES FPS [--fp16]

Pictures of a StyleGAN that was exported to ncnn, into the working directory:

  0   the picture of a seed                                  -> image.png
  1   the picture of A with the listed styles of B           -> mix.png
  2   FRAMES steps from A to B, and the ffmpeg command that
      makes a video of them with FPS frames a second         -> a2b/00000.png ...

  Z_DIM, NUM_WS   length of a latent and number of styles, as the export printed them
  TRUNC           truncation: 1 keeps a style, 0 is the mean one
  SEED            a file N.bin that the export wrote
  NETS            NAME_mapping.param NAME_mapping.bin NAME_synthesis.param NAME_synthesis.bin
  STYLE           0 to NUM_WS - 1 (first: pose, last: colour)
  --fp16          convolutions multiply in half precision, where the processor
                  can: 64-bit ARM, from ARMv8.2 on

example:
  stylegan 1 512 16 0.7 seeds/458.bin seeds/293.bin cats_mapping.param cats_mapping.bin \
    cats_synthesis.param cats_synthesis.bin 0 1 2 3 4 5 6
)";

static int whole(const char* name, const std::string& text, int low, int high)
{
    int value = 0;
    if (runtime::parse_int(text, value) && value >= low && value <= high)
        return value;
    throw Fault(Kind::option, std::string(name) + " is not a fitting number")
        .wants("a whole number, " + std::to_string(low) + " to " + std::to_string(high))
        .has(runtime::quoted(text));
}

static float real(const char* name, const std::string& text, const char* expected)
{
    float value = 0;
    if (runtime::parse_real(text, value))
        return value;
    throw Fault(Kind::option, std::string(name) + " is not a number")
        .wants(expected)
        .has(runtime::quoted(text));
}

namespace
{

// The arguments one after another.
class Reader
{
public:
    explicit Reader(const std::vector<std::string>& arguments) : arguments(arguments) {}

    const std::string& next(const char* name)
    {
        if (position == arguments.size())
            throw Fault(Kind::option, std::string("the argument ") + name + " is missing")
                .remedy("stylegan --help shows what belongs where");
        return arguments[position++];
    }
    bool at_end() const { return position == arguments.size(); }

private:
    const std::vector<std::string>& arguments;
    size_t position = 0;
};

} // namespace

Request parse(const std::vector<std::string>& arguments)
{
    Request request;
    std::vector<std::string> places;
    for (const std::string& argument : arguments) {
        if (argument == "--fp16")
            request.fp16 = true;
        else
            places.push_back(argument);
    }
    if (request.fp16 && !runtime::half_precision())
        throw Fault(Kind::option, "--fp16: this processor does not compute in half precision")
            .wants("64-bit ARM with asimdhp (ARMv8.2)")
            .remedy("Leave it out");
    Reader reader(places);
    const std::string& mode = reader.next("MODE");
    if (mode != "0" && mode != "1" && mode != "2")
        throw Fault(Kind::option, "no such mode")
            .wants("0 (image), 1 (style mixing) or 2 (A to B)")
            .has(runtime::quoted(mode))
            .remedy("stylegan --help tells more");
    request.mode = Mode(mode[0] - '0');
    request.z_dim = whole("Z_DIM", reader.next("Z_DIM"), 1, 1 << 20);
    request.num_ws = whole("NUM_WS", reader.next("NUM_WS"), 1, 1024);
    request.trunc = real("TRUNC", reader.next("TRUNC"), "such as 0.7");
    if (request.mode == Mode::image) {
        request.seeds = {reader.next("SEED")};
    } else {
        request.seeds = {reader.next("SEED_A")};
        request.seeds.push_back(reader.next("SEED_B"));
    }
    request.files.mapping_param = reader.next("NAME_mapping.param");
    request.files.mapping_bin = reader.next("NAME_mapping.bin");
    request.files.synthesis_param = reader.next("NAME_synthesis.param");
    request.files.synthesis_bin = reader.next("NAME_synthesis.bin");
    if (request.mode == Mode::mix) {
        do
            request.styles.push_back(whole("STYLE", reader.next("STYLE"), 0, request.num_ws - 1));
        while (!reader.at_end());
    }
    if (request.mode == Mode::a2b) {
        request.frames = whole("FRAMES", reader.next("FRAMES"), 1, 99999);
        request.fps = reader.next("FPS");
        const float fps = real("FPS", request.fps, "such as 30 or 29.97");
        if (!(fps >= 1 && fps <= 1000))
            throw Fault(Kind::option, "FPS is out of range")
                .wants("1 to 1000")
                .has(runtime::quoted(request.fps));
    }
    if (!reader.at_end())
        throw Fault(Kind::option, "too many arguments")
            .wants("none after the others of mode " + mode)
            .has(runtime::quoted(reader.next("")))
            .remedy("stylegan --help shows what belongs where");
    return request;
}

} // namespace stylegan
