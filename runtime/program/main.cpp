// stylegan: pictures of an exported generator, without Python. What it computes is what `python -m
// runtime.run` does.
#include "arguments.h"
#include "child.h"
#include "directions.h"
#include "generator.h"
#include "pictures.h"
#include "seeds.h"

#include <custom_layers/cpu_mask.h>
#include <runtime/src/fault.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <fstream>
#include <future>
#include <iterator>
#include <new>
#include <string>
#include <utility>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace stylegan
{

static volatile std::sig_atomic_t stopped = 0; // the signal that asks to end

extern "C" {
static void stop(int number)
{
    stopped = number;
    watched().mapping.stop = watched().synthesis.stop = true;
    std::signal(number, SIG_DFL); // a second one ends it at once
}
}

namespace
{

struct Stopped {};

} // namespace

static bool is_terminal()
{
#if defined(__unix__) || defined(__APPLE__)
    return isatty(STDERR_FILENO);
#else
    return false;
#endif
}

// Frame 0 is A, frame `frames` is B, and between them the way is straight in w. Each is written while the
// next one is computed.
static void draw_frames(const Generator& generator, const Style& a, const Style& b, const Request& request)
{
    std::signal(SIGINT, stop);
    std::signal(SIGTERM, stop);
    const bool progress = is_terminal();
    bool odd = false;
    FrameFolder folder("a2b");
    std::future<void> writing; // declared after the folder, so that it ends first
    for (int i = 0; i <= request.frames; i++) {
        if (stopped)
            throw Stopped();
        const float part = (float)((double)i / request.frames);
        Style w = b;
        for (size_t k = 0; i < request.frames && k < w.values.size(); k++)
            w.values[k] = a.values[k] + part * (b.values[k] - a.values[k]);
        Picture picture = generator.picture(w);
        odd = picture.width % 2 || picture.height % 2;
        if (writing.valid())
            writing.get(); // raises what the writing raised
        writing =
            std::async(std::launch::async, [&folder, picture = std::move(picture)] { folder.add(picture); });
        if (progress)
            fprintf(stderr, "\rframe %d of %d%s", i, request.frames, i == request.frames ? "\n" : "");
    }
    writing.get();
    folder.finish();
    // yuv420p, which every player shows, halves width and height.
    printf("a2b/00000.png to a2b/%s\n", folder.last().c_str());
    printf("For a video: ffmpeg -framerate %s -i a2b/%%05d.png %s-c:v libx264 -crf 18 -pix_fmt yuv420p "
           "a2b.mp4\n",
           request.fps.c_str(), odd ? "-vf 'pad=ceil(iw/2)*2:ceil(ih/2)*2' " : "");
}

// The style with a row for each of the network's.
static Style spread(const Style& w, int num_ws)
{
    Style all{{}, num_ws};
    for (int i = 0; i < num_ws; i++)
        all.values.insert(all.values.end(), w.values.begin(), w.values.end());
    return w.rows == num_ws ? w : all;
}

// The first of the styles, each of num_ws rows, with what blend= gives it of the others.
static Style blended(const std::vector<Style>& ws, const std::vector<Piece>& blend)
{
    Style w = ws.front();
    const size_t length = w.values.size() / (size_t)w.rows;
    for (const Piece& piece : blend) {
        const size_t first = (size_t)piece.styles.first * length,
                     end = ((size_t)piece.styles.last + 1) * length;
        const bool itself =
            piece.parts.size() == 1 && piece.parts[0].second == 1; // not what rounding leaves of it
        for (const auto& [seed, how_much] : piece.parts) {
            const std::vector<float>& other = ws[(size_t)seed].values;
            for (size_t k = first; k < end; k++)
                w.values[k] =
                    itself ? other[k] : w.values[k] + (float)how_much * (other[k] - ws[0].values[k]);
        }
    }
    return w;
}

static void carry_out(const Request& request)
{
    const char* const file = request.mode == Mode::mix ? "mix.png" : "image.png";
    if (request.mode != Mode::a2b)
        check_writable(file);
    const Controls& controls = request.controls;
    const auto files = read_directions(controls.edit);
    const Generator generator(request.files, request.z_dim, request.num_ws,
                              controls.turns() ? controls.transform() : std::vector<float>(), request.fp16,
                              request.bf16);
    std::vector<Style> ws;
    for (const std::string& seed : request.seeds)
        ws.push_back(generator.style(read_seed(seed, request.z_dim), request.trunc));
    if (controls.moves()) {
        const std::vector<float> far = movement(controls, files, generator, (int)ws[0].values.size());
        for (Style& w : ws) {
            w = spread(w, request.num_ws);
            for (size_t k = 0; k < far.size(); k++)
                w.values[k] += far[k];
        }
    }
    if (!controls.blend.empty()) {
        for (Style& w : ws)
            w = spread(w, request.num_ws);
        ws = {blended(ws, controls.blend)};
    }
    if (request.mode == Mode::a2b)
        return draw_frames(generator, ws[0], ws[1], request);
    std::vector<float> mixing((size_t)request.num_ws, 0.f);
    for (int style : request.styles)
        mixing[(size_t)style] = 1;
    write_png(file, generator.picture(ws.front(), ws.back(), mixing), Packing::small);
    printf("%s\n", file);
}

// One line that no terminal obeys, whatever bytes a file's name or a layer's holds: ASCII's control
// characters, and those of Latin-1 as UTF-8 writes them (C2 80 to C2 9F).
static int complain(std::string message)
{
    unsigned char before = 0;
    for (char& c : message) {
        const unsigned char byte = (unsigned char)c;
        if (byte < 32 || byte == 127 || (before == 0xC2 && byte >= 0x80 && byte < 0xA0))
            c = '?';
        before = byte;
    }
    fprintf(stderr, "error: %s\n", message.c_str());
    return 2;
}

// Does all of it, and returns the exit status.
static int carry_out_or_complain(const Request& request)
{
    try {
        carry_out(request);
    } catch (const runtime::Fault& fault) {
        if (!stopped)
            return complain(fault.message());
    } catch (const Stopped&) {
    } catch (const std::bad_alloc&) {
        return complain("out of memory");
    } catch (const std::exception& error) {
        return complain(error.what());
    }
    if (!stopped)
        return 0;
    fputs("stopped\n", stderr);
    return 128 + stopped;
}

// The layer that ended the child.
static void explain(const Request& request, const char* how)
{
    const bool drawing = watched().synthesis.layer >= 0;
    const int number = drawing ? watched().synthesis.layer : watched().mapping.layer;
    const std::string& file = drawing ? request.files.synthesis_param : request.files.mapping_param;
    runtime::Fault fault(runtime::Kind::layer, "the process that computes has ended");
    fault.has(how);
    try {
        std::ifstream stream(file, std::ios::binary);
        const std::string text(std::istreambuf_iterator<char>(stream), {});
        if (number >= 0) {
            const runtime::LayerLine line =
                runtime::parse_param(text, file, [](const runtime::LayerLine&) {}).at((size_t)number);
            fault.at(file, line.line).in(line.name, line.type);
        }
    } catch (const std::exception&) { // the file has changed: then it is not known
    }
    complain(fault.message());
}

} // namespace stylegan

// 0; 2 after a message for what the user can mend; 128 and the signal's number where one stopped it.
int main(int argc, char** argv)
{
    using namespace stylegan;
#ifdef SIGXFSZ
    std::signal(SIGXFSZ, SIG_IGN); // a limit on the size of files becomes an error of writing
#endif
    const std::vector<std::string> arguments(argv + (argc > 0), argv + argc);
    for (const std::string& argument : arguments)
        if (argument == "-h" || argument == "--help") {
            fputs(usage, stdout);
            return 0;
        }
    if (arguments.empty()) {
        fputs(usage, stderr);
        return 2;
    }
    const std::string wrong = custom_layers::wrong_cpu_mask();
    if (!wrong.empty())
        return complain(wrong);
    try {
        const Request request = parse(arguments);
        return in_child([&] { return carry_out_or_complain(request); },
                        [&](const char* how) { explain(request, how); });
    } catch (const runtime::Fault& fault) {
        return complain(fault.message());
    } catch (const std::exception& error) {
        return complain(error.what());
    }
}
