// What the studio's page calls where it runs by itself: nets with every check of the runtime, latents, and
// pictures, as functions of C. runtime/studio/page/wasm_nets.js is the other side.
//
// What fails returns null or -1, and engine_error() says why, in the words of a Fault. Names are UTF-8.
// Arrays lie outer first and without gaps.
#include "normal.h"

#include <runtime/src/blobs.h>
#include <runtime/src/fault.h>
#include <runtime/src/net.h>

#include <emscripten.h>
#include <emscripten/threading.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>
#include <new>
#include <string>

using runtime::Fault;
using runtime::Kind;

namespace
{

std::string said; // why the last call failed

template <typename F> int succeeds(const F& work)
{
    try {
        work();
        return 0;
    } catch (const Fault& fault) {
        said = fault.message();
    } catch (const std::bad_alloc&) {
        said = "out of memory";
    } catch (const std::exception& error) {
        said = error.what();
    }
    return -1;
}

int put_sizes(const std::vector<int>& sizes, int* to)
{
    std::copy(sizes.begin(), sizes.end(), to);
    return (int)sizes.size();
}

// One thread in a form that has no others.
runtime::Options options()
{
    const int most = 16; // as engine-threads has
    runtime::Options options;
    if (emscripten_has_threading_support())
        options.threads = std::clamp(emscripten_num_logical_cores(), 1, most);
    return options;
}

} // namespace

// A net, and what its next run takes and its last one made.
struct EngineNet {
    explicit EngineNet(const char* param, const char* bin) : net(param, bin, options()) {}

    runtime::Net net;
    std::deque<runtime::Borrowed> borrowed; // a deque: its elements never move
    std::vector<std::pair<int, ncnn::Mat>> given;
    std::vector<std::string> names;
    std::vector<ncnn::Mat> values;
    std::vector<runtime::Shape> shapes; // of all blobs, from engine_walk()

    void forget()
    {
        values.clear();
        given.clear();
        borrowed.clear();
    }
};

extern "C" {

EMSCRIPTEN_KEEPALIVE const char* engine_error() { return said.c_str(); }

// Of two files; they are needed no longer when it returns.
EMSCRIPTEN_KEEPALIVE EngineNet* engine_load(const char* param, const char* bin)
{
    EngineNet* loaded = nullptr;
    succeeds([&] { loaded = new EngineNet(param, bin); });
    return loaded;
}

EMSCRIPTEN_KEEPALIVE void engine_free(EngineNet* net) { delete net; }

// The sizes that the file declares of an input, up to 4; returns how many, 0 where it declares none.
EMSCRIPTEN_KEEPALIVE int engine_input(EngineNet* net, const char* name, int* sizes)
{
    int count = 0;
    const int code = succeeds([&] {
        const runtime::Net::Input& input = net->net.input(name);
        count = input.shape ? put_sizes(*input.shape, sizes) : 0;
    });
    return code < 0 ? code : count;
}

// 0 where the net has a blob of that name.
EMSCRIPTEN_KEEPALIVE int engine_blob(EngineNet* net, const char* name)
{
    return succeeds([&] { net->net.blob(name); });
}

// A value for the next run. The memory has to stay as it is until engine_forget().
EMSCRIPTEN_KEEPALIVE int engine_give(EngineNet* net, const char* name, const float* values, int dims,
                                     const int* sizes)
{
    return succeeds([&] {
        const runtime::Net::Input& input = net->net.input(name);
        const std::vector<long long> shape(sizes, sizes + dims);
        net->borrowed.emplace_back(name, values, shape, input.shape, input.index, *net->net.pool());
        net->given.emplace_back(net->net.blob(name), net->borrowed.back().blob());
    });
}

// Computes blobs, whose names stand in lines.
EMSCRIPTEN_KEEPALIVE int engine_run(EngineNet* net, const char* names)
{
    return succeeds([&] {
        net->names.clear();
        std::vector<int> wanted;
        for (std::string name; *names; names += *names == '\n') {
            for (name.clear(); *names && *names != '\n'; names++)
                name += *names;
            wanted.push_back(net->net.blob(name));
            net->names.push_back(name);
        }
        net->values = net->net.run(net->given, wanted);
    });
}

// The sizes of a blob that was computed, up to 4; returns how many.
EMSCRIPTEN_KEEPALIVE int engine_sizes(EngineNet* net, int number, int* sizes)
{
    int count = 0;
    const int code = succeeds([&] {
        count =
            put_sizes(runtime::plain_sizes(net->names[(size_t)number], net->values[(size_t)number]), sizes);
    });
    return code < 0 ? code : count;
}

EMSCRIPTEN_KEEPALIVE void engine_values(EngineNet* net, int number, float* to)
{
    runtime::copy_values(net->values[(size_t)number], to);
}

// How many layers the net has: lines of its file.
EMSCRIPTEN_KEEPALIVE int engine_layers(EngineNet* net) { return (int)net->net.layers().size(); }

// Computes all outputs of the net: what each layer took, in seconds, of as many as engine_layers() says.
EMSCRIPTEN_KEEPALIVE int engine_walk(EngineNet* net, double* seconds)
{
    return succeeds([&] {
        std::vector<int> wanted;
        for (const std::string& name : net->net.outputs())
            wanted.push_back(net->net.blob(name));
        std::vector<double> taken;
        net->net.run(net->given, wanted, nullptr, &taken, &net->shapes);
        std::copy(taken.begin(), taken.end(), seconds);
    });
}

// The sizes of a blob in the last engine_walk(), up to 4, also of one that failed behind it; 0 where it was
// not made.
EMSCRIPTEN_KEEPALIVE int engine_walked(EngineNet* net, const char* name, int* sizes)
{
    int count = 0;
    const int code = succeeds([&] {
        const size_t number = (size_t)net->net.blob(name);
        if (number < net->shapes.size() && net->shapes[number].dims > 0)
            count = put_sizes(net->shapes[number].sizes(), sizes);
    });
    return code < 0 ? code : count;
}

// What was given and computed is needed no longer.
EMSCRIPTEN_KEEPALIVE void engine_forget(EngineNet* net) { net->forget(); }

// numpy.random.RandomState(seed).randn(count) as float32.
EMSCRIPTEN_KEEPALIVE void engine_normal(unsigned seed, int count, float* to)
{
    runtime::RandomState random(seed);
    for (int i = 0; i < count; i++)
        to[i] = (float)random.normal();
}

// float32 [channels, pixels], about -1..1 -> levels, uint8 [pixels, channels].
EMSCRIPTEN_KEEPALIVE int engine_levels(const float* values, int channels, int pixels, unsigned char* to)
{
    return succeeds([&] {
        for (int c = 0; c < channels; c++) {
            for (int i = 0; i < pixels; i++) {
                const float value = values[(size_t)c * pixels + i];
                if (!std::isfinite(value))
                    throw Fault(Kind::input,
                                "the picture is not finite: its style, noise or transform lies far "
                                "outside what the network knows");
                to[(size_t)i * channels + c] = (unsigned char)std::clamp(value * 127.5f + 128.f, 0.f, 255.f);
            }
        }
    });
}
}
