#include "arguments.h"

#include <runtime/src/fault.h>
#include <runtime/src/machine.h>
#include <runtime/src/param_line.h>

using runtime::Fault;
using runtime::Kind;

namespace stylegan
{

const char* const usage = R"(usage: stylegan 0 Z_DIM NUM_WS TRUNC SEED NETS [KEY=VALUE...] [--fp16|--bf16]
       stylegan 1 Z_DIM NUM_WS TRUNC SEED_A SEED_B NETS STYLE... [KEY=VALUE...] [--fp16|--bf16]
       stylegan 1 Z_DIM NUM_WS TRUNC SEED_A SEED_B... NETS blend=LIST [KEY=VALUE...] [--fp16|--bf16]
       stylegan 2 Z_DIM NUM_WS TRUNC SEED_A SEED_B NETS FRAMES FPS [KEY=VALUE...] [--fp16|--bf16]

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
  --bf16          the same in bfloat16: x86 with AVX-512-BF16

keys, as of `python -m runtime.run`:
  blend=0-6:b,7:b0.3+c   what styles take of the second seed (b), the third (c) ...;
                         the first takes what they leave
  edit=FILE:3:+2.5       moves styles along direction 3 of a file of
                         `python -m runtime.directions`; several with commas between
  layers=0-6             the styles that edit= moves (default: what FILE says, else all)
  move=0:2.5,3:-1        moves styles along directions that the network's weights give
                         (SeFa), 0 to 15, the strongest first
  move_styles=0-3        those that are moved, and whose layers give the directions
  rotate=DEG translate=X,Y zoom=N
                         StyleGAN3 exported with --transform-input: turned
                         counterclockwise, moved right and down in widths, enlarged

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
    size_t left() const { return arguments.size() - position; }

private:
    const std::vector<std::string>& arguments;
    size_t position = 0;
};

} // namespace

static void check_blend(const Request& request)
{
    const size_t most = 26, count = request.seeds.size();
    if (count > most)
        throw Fault(Kind::option, "too many seeds").wants("2 to 26").has(std::to_string(count));
    for (const Piece& piece : request.controls.blend) {
        if (piece.styles.last >= request.num_ws)
            throw Fault(Kind::option, "blend= is out of range")
                .wants("styles 0 to " + std::to_string(request.num_ws - 1))
                .has(std::to_string(piece.styles.last));
        for (const auto& [seed, how_much] : piece.parts)
            if ((size_t)seed >= count)
                throw Fault(Kind::option, std::string("blend= asks for seed ") + (char)('a' + seed))
                    .wants(std::string("at most ") + (char)('a' + count - 1));
    }
}

Request parse(const std::vector<std::string>& arguments)
{
    Request request;
    std::vector<std::string> places, controls;
    for (const std::string& argument : arguments) {
        if (argument == "--fp16")
            request.fp16 = true;
        else if (argument == "--bf16")
            request.bf16 = true;
        else if (is_control(argument))
            controls.push_back(argument);
        else
            places.push_back(argument);
    }
    if (request.fp16 && !runtime::half_precision())
        throw Fault(Kind::option, "--fp16: this processor does not compute in half precision")
            .wants("64-bit ARM with asimdhp (ARMv8.2)")
            .remedy("Leave it out");
    if (request.bf16 && !runtime::bf16_products())
        throw Fault(Kind::option, "--bf16: this processor does not multiply in bfloat16")
            .wants("x86-64 with AVX-512-BF16 (Zen 4, Cooper Lake, Sapphire Rapids and later)")
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
    request.controls = parse_controls(controls);
    const bool blended = !request.controls.blend.empty();
    if (blended && request.mode != Mode::mix)
        throw Fault(Kind::option, "blend= belongs to mode 1").has("mode " + mode);
    if (request.mode == Mode::image) {
        request.seeds = {reader.next("SEED")};
    } else {
        request.seeds = {reader.next("SEED_A")};
        request.seeds.push_back(reader.next("SEED_B"));
    }
    int style = 0;
    if (blended && runtime::parse_int(places.back(), style))
        throw Fault(Kind::option, "STYLE and blend= say the same thing")
            .wants("one of them")
            .has(runtime::quoted(places.back()));
    const size_t nets = 4;
    while (blended && reader.left() > nets)
        request.seeds.push_back(reader.next("SEED_C"));
    if (blended)
        check_blend(request);
    request.files.mapping_param = reader.next("NAME_mapping.param");
    request.files.mapping_bin = reader.next("NAME_mapping.bin");
    request.files.synthesis_param = reader.next("NAME_synthesis.param");
    request.files.synthesis_bin = reader.next("NAME_synthesis.bin");
    if (request.mode == Mode::mix && !blended) {
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
