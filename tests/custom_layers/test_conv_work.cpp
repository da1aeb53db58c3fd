// How Conv shares its work among threads, and what it keeps in memory: each way is run and checked, with
// pictures and filters of awkward sizes.
#include "check.h"
#include "conv_oracle.h"

#include <custom_layers/conv_kernels.h>

#include <stdlib.h>

#include <functional>
#include <set>
#include <thread>

using custom_layers::Conv;
using custom_layers::ConvSharing;
using custom_layers::FirKernels;

static Conv prepared(const ConvCase& c, const ConvData& data, const FirKernels* kernels)
{
    Conv conv = conv_of(c);
    if (kernels)
        check(conv.prepare(data.weights.data(), c.winograd, *kernels) == 0, "%s: out of memory",
              c.name().c_str());
    return conv;
}

static void check_case(const ConvCase& c, unsigned seed, const std::vector<int>& threads = {1, 2, 3, 5})
{
    if (!its_turn())
        return;
    const ConvData data(c, seed);
    const ncnn::Mat want = conv_oracle(c, data);
    for (const FirKernels* kernels : conv_kernel_sets()) {
        const Conv conv = prepared(c, data, kernels);
        for (int count : threads) {
            const int x_pack = c.inputs % 16 == 0 ? 16 : 1, y_pack = c.outputs % 16 == 0 ? 16 : 1;
            const ConvForm form = {kernels, x_pack, y_pack, count, 0};
            check_close(run_conv(conv, c, data, form), want, kernels ? conv_tolerance(conv.scheme()) : 3e-6,
                        text("%s %s", c.name().c_str(), form.name().c_str()));
        }
    }
}

// The sizes are found, not given: which way is taken depends on the caches of the machine.
static ConvCase grown(ConvCase c, int threads, bool tall,
                      const std::function<bool(const ConvSharing&)>& wanted)
{
    const Conv conv = prepared(c, ConvData(c, 1), conv_kernel_sets()[0]);
    for (int& size = tall ? c.height : c.width; size < 1 << 14; size += size / 2) {
        Conv larger = conv;
        larger.height = c.height;
        larger.width = c.width;
        if (wanted(sharing_of(larger, c, threads)))
            return c;
    }
    check(false, "%s: no size has this way of sharing", c.name().c_str());
    return c;
}

TEST(conv_work, by_tiles)
{
    for (bool winograd : {false, true}) {
        ConvCase c(5, 17, 70, 33);
        c.winograd = winograd;
        const ConvData data(c, 1);
        const ConvSharing sharing = sharing_of(prepared(c, data, conv_kernel_sets()[0]), c, 2);
        check(sharing.way == ConvSharing::kTiles && sharing.shares == 2, "way %d, %d shares", sharing.way,
              sharing.shares);
        check_case(c, 100);
    }
}

TEST(conv_work, by_channels)
{
    bool several = false; // shares a thread
    // More panels of channels than threads, and fewer tiles than they want; an odd panel; a picture of one
    // pixel.
    for (ConvCase c : {ConvCase(48, 940, 2, 3), ConvCase(33, 940, 1, 1), ConvCase(64, 940, 3, 2, 1, 0),
                       ConvCase(64, 940, 2, 1).upsampled(4), ConvCase(33, 940, 1, 2).upsampled(5, 2)}) {
        const ConvData data(c, 2);
        for (int threads : {2, 3, 5}) {
            const ConvSharing sharing = sharing_of(prepared(c, data, conv_kernel_sets()[0]), c, threads);
            check(sharing.way == ConvSharing::kChannels && sharing.threads == threads,
                  "%s: way %d, %d threads", c.name().c_str(), sharing.way, sharing.threads);
            several = several || sharing.shares > threads;
        }
        check_case(c, 200);
    }
    check(several, "a thread has never more than one share");
    // Of several blocks, if the machine's caches make it so.
    check_case(ConvCase(64, 161, 4, 5), 201);
    check_case(ConvCase(17, 161, 4, 4).upsampled(4), 202);
}

// Layers of StyleGAN2 at 512 x 512, by the plan's own arithmetic: more threads are never slower, and up to 64
// have work for four fifths of their time. CONV_SPEED prints it.
TEST(conv_work, speed_of_many_threads)
{
    const int channels[] = {512, 512, 512, 512, 512, 256, 128, 64}; // of 4 to 512 pixels
    for (const FirKernels* kernels : conv_kernel_sets()) {
        for (int i = 0; kernels && i < 16; i++) {
            const int size = 4 << (i / 2), up = i % 2; // conv1, then conv0 of the next
            if (i == 15)
                continue;
            ConvCase c(channels[i / 2], channels[i / 2 + up], size, size);
            if (up)
                c.upsampled(4);
            const std::vector<float> weights((size_t)c.inputs * c.outputs * 9, 0.f);
            Conv conv = conv_of(c);
            conv.prepare(weights.data(), true, *kernels);
            if (getenv("CONV_SPEED"))
                printf("    b%d.conv%d %d->%d, %s, %s:", size << up, !up, c.inputs, c.outputs,
                       conv_kernels(*kernels).name, scheme_name(conv.scheme()));
            double before = 1;
            for (int threads = 1; threads <= 64; threads++) {
                const ConvSharing s = sharing_of(conv, c, threads);
                // One thread alone may transform late weights for more blocks.
                const double most = threads * (conv.late() ? 1.1 : 1.0);
                check(s.speed >= before && s.speed <= most && s.threads <= threads,
                      "%s: %d threads are %g times one, one less %g", c.name().c_str(), threads, s.speed,
                      before);
                if ((threads & (threads - 1)) == 0) {
                    check(s.speed >= 0.8 * threads, "%s: %d threads are %g times one, in way %d",
                          c.name().c_str(), threads, s.speed, s.way);
                    if (getenv("CONV_SPEED"))
                        printf(" %d:%.2f/%s/%.0fMB", threads, s.speed / threads,
                               (const char*[]){"few", "tiles", "channels", "rows", "steps"}[s.way],
                               (double)s.bytes / (1 << 20));
                }
                before = s.speed;
            }
            if (getenv("CONV_SPEED"))
                printf("\n");
        }
    }
}

// More threads than tiles or channels give work to, with every scheme; channels that fill no panel, several
// blocks of tiles, noise, a residual, a result that is not packed.
TEST(conv_work, in_steps)
{
    ConvCase cases[] = {ConvCase(20, 70, 9, 14),
                        ConvCase(33, 48, 13, 27),
                        ConvCase(64, 33, 10, 11),
                        ConvCase(48, 33, 4, 4, 5, 2),
                        ConvCase(256, 16, 132, 134),
                        ConvCase(20, 65, 9, 7).upsampled(4),
                        ConvCase(33, 161, 6, 6).upsampled(5, 2),
                        ConvCase(16, 48, 24, 20).upsampled(4),
                        ConvCase(64, 64, 12, 9).upsampled(1, 0),
                        ConvCase(5, 33, 4, 4).upsampled(31)};
    cases[1].noise = cases[5].noise = cases[7].noise = true;
    cases[2].residual = cases[3].residual = true;
    for (ConvCase& c : cases) {
        for (bool winograd : {true, false}) {
            c.winograd = winograd;
            const ConvData data(c, 3);
            if (c.cost() > 2e8 && !winograd)
                continue;
            std::vector<int> found;
            const Conv conv = prepared(c, data, conv_kernel_sets()[0]);
            for (int threads = 2; threads <= 64 && found.size() < 3; threads += threads / 3 + 1) {
                if (sharing_of(conv, c, threads).way == ConvSharing::kSteps)
                    found.push_back(threads);
            }
#if !defined(__EMSCRIPTEN__) // one thread alone is there, and what more would do follows from a cache that is
                             // a guess
            check(!found.empty(), "%s: never in steps", c.name().c_str());
#endif
            if (!found.empty())
                check_case(c, 900, found);
        }
    }
}

// Weights transformed anew by each run, with every scheme and in every way; kept as taps, also in float16.
TEST(conv_work, weights_transformed_late)
{
    ConvCase cases[] = {ConvCase(20, 70, 50, 31), ConvCase(48, 33, 70, 43), ConvCase(64, 940, 27, 28),
                        ConvCase(96, 97, 49, 49).upsampled(4)};
    std::set<std::pair<int, int>> seen; // schemes, and ways
    for (ConvCase& c : cases) {
        c.late = true;
        c.noise = c.up == 2;
        const ConvData data(c, 4);
        const Conv conv = prepared(c, data, conv_kernel_sets()[0]);
        check(conv.late(), "%s: not late", c.name().c_str());
        check(conv.weight_bytes() < 10u * (size_t)c.inputs * ((size_t)c.outputs + 15) * sizeof(float),
              "%s: %zu bytes are kept", c.name().c_str(), conv.weight_bytes());
        std::vector<int> counts = {1, 2, 3};
        for (int threads = 4; threads <= 64 && counts.size() < 5; threads += threads / 3) {
            if (sharing_of(conv, c, threads).way == ConvSharing::kSteps)
                counts.push_back(threads);
        }
        for (int threads : counts)
            seen.emplace(conv.scheme(), sharing_of(conv, c, threads).way);
        check_case(c, 1000, counts);

        if (c.cost() > 1e8) // slow, and nothing else
            continue;
        Conv narrow = conv_of(c);
        narrow.prepare(data.weights.data(), true, *conv_kernel_sets()[0], {false, true, nullptr});
        check_close(run_conv(narrow, c, data, {conv_kernel_sets()[0], 1, 1, 2, 0}), conv_oracle(c, data),
                    2e-3, c.name() + " narrow");
    }
#if !defined(__EMSCRIPTEN__) // where there is one thread, and no 6x6
    check(seen.size() >= 4, "%zu pairs of schemes and ways", seen.size());
#endif
    for (const auto& pair : seen)
        printf("     %s in way %d\n", scheme_name((custom_layers::ConvScheme)pair.first), pair.second);
}

TEST(conv_work, rows_shared)
{
    const auto wanted = [](const ConvSharing& s) { return s.way == ConvSharing::kRows && s.shares >= 3; };
    for (int taps : {3, 4, 8}) {
        ConvCase c = ConvCase(16, 5, 40, 90).upsampled(taps);
        c.noise = true;
        c.winograd = taps != 3;
        check_case(grown(c, 3, true, wanted), 300 + (unsigned)taps, {1, 2, 3});
    }
}

TEST(conv_work, rows_in_strips)
{
    const auto wanted = [](const ConvSharing& s) { return s.way == ConvSharing::kRows && s.strips >= 3; };
    for (bool winograd : {false, true}) {
        ConvCase c = ConvCase(32, 16, 3, 100).upsampled(4, 1);
        c.winograd = winograd;
        check_case(grown(c, 2, false, wanted), 400, {1, 2});
    }
}

// A filter that is nearly as long as the rows of a thread: seams that touch each other.
TEST(conv_work, rows_shared_with_a_long_filter)
{
    const auto wanted = [](const ConvSharing& s) { return s.way == ConvSharing::kRows && s.shares >= 3; };
    for (int taps : {64, 255}) {
        ConvCase c = grown(ConvCase(3, 5, 24, 9).upsampled(taps, 0), 3, true, wanted);
        check_case(c, 500 + (unsigned)taps);
        c.winograd = false;
        check_case(c, 501 + (unsigned)taps, {3});
    }
}

TEST(conv_work, long_filters_of_tiny_pictures)
{
    for (int taps : {8, 9, 31, 128, 256}) {
        for (int size : {1, 2}) {
            for (int padding : {1, 2, 5}) {
                ConvCase c = ConvCase(4, 20, size, size).upsampled(taps, padding);
                check_case(c, 600, {1, 2});
                c.winograd = false;
                c.inputs = c.outputs = 16;
                check_case(c, 601, {2});
            }
        }
    }
}

TEST(conv_work, large_borders)
{
    for (int padding : {4, 9, 40}) {
        for (int taps : {1, 4, 7})
            check_case(ConvCase(16, 32, 4, 5).upsampled(taps, padding), 700, {1, 2});
        check_case(ConvCase(5, 16, 3, 4, 3, padding), 701, {1, 3});
        check_case(ConvCase(16, 3, 1, 1, 1, padding), 702, {2});
    }
}

TEST(conv_work, threads_that_make_no_sense)
{
    for (int threads : {0, -3, 64, 1 << 30}) {
        check_case(ConvCase(3, 5, 4, 5), 800, {threads});
        check_case(ConvCase(16, 3, 4, 5, 1, 0), 801, {threads});
        check_case(ConvCase(3, 5, 4, 5).upsampled(4), 802, {threads});
        check_case(ConvCase(5, 70, 2, 2).upsampled(4), 803, {threads});
    }
}

// The same bytes at each run; with other threads and packings, the same up to rounding.
TEST(conv_work, repeatable)
{
    for (ConvCase c : {ConvCase(48, 64, 33, 31), ConvCase(32, 48, 9, 9, 5, 2), ConvCase(48, 160, 4, 4),
                       ConvCase(64, 32, 33, 20).upsampled(4), ConvCase(16, 160, 4, 4).upsampled(5)}) {
        if (!its_turn())
            continue;
        const ConvData data(c, 9);
        for (const FirKernels* kernels : conv_kernel_sets()) {
            const Conv conv = prepared(c, data, kernels);
            const double tolerance = kernels ? conv_tolerance(conv.scheme()) : 0.0;
            const ncnn::Mat first = run_conv(conv, c, data, {kernels, 16, 16, 1, 0});
            for (int threads : {1, 2, 3, 5}) {
                for (int pack : {1, 4, 8, 16}) {
                    if (!kernels && pack != threads) // slow
                        continue;
                    const ConvForm form = {kernels, 16, pack, threads, 0};
                    const ConvForm turned = {kernels, pack, 16, threads, 0};
                    const ncnn::Mat y = run_conv(conv, c, data, form);
                    const std::string what = text("%s %s", c.name().c_str(), form.name().c_str());
                    check_close(run_conv(conv, c, data, form), y, 0.0, what + " again");
                    check_close(y, first, tolerance, what + " and one thread");
                    check_close(run_conv(conv, c, data, turned), first, tolerance,
                                what + " the other way round");
                }
            }
        }
    }
}

#if !defined(__EMSCRIPTEN__) // where there is one thread
TEST(conv_work, two_runs_at_once)
{
    for (ConvCase c :
         {ConvCase(33, 48, 20, 31), ConvCase(16, 160, 4, 4), ConvCase(16, 32, 20, 17).upsampled(4)}) {
        const ConvData data(c, 10);
        const Conv conv = prepared(c, data, conv_kernel_sets()[0]);
        const ConvForm form = {conv_kernel_sets()[0], 1, 1, 2, 0};
        const ncnn::Mat want = run_conv(conv, c, data, form);
        ncnn::Mat got[3];
        std::vector<std::thread> threads;
        for (ncnn::Mat& y : got)
            threads.emplace_back([&] {
                for (int i = 0; i < 5; i++)
                    y = run_conv(conv, c, data, form);
            });
        for (std::thread& thread : threads)
            thread.join();
        for (const ncnn::Mat& y : got)
            check_close(y, want, 0.0, c.name() + " at once");
    }
}
#endif

// Fewer threads than were asked for, as inside another parallel region.
TEST(conv_work, fewer_threads_than_asked)
{
    for (ConvCase c : {ConvCase(33, 48, 20, 31), ConvCase(16, 160, 4, 4),
                       ConvCase(16, 32, 20, 17).upsampled(4), ConvCase(16, 160, 4, 4).upsampled(4)}) {
        const ConvData data(c, 11);
        const ncnn::Mat want = conv_oracle(c, data);
        const Conv conv = prepared(c, data, conv_kernel_sets()[0]);
        ncnn::Mat got;
#pragma omp parallel num_threads(2)
#pragma omp single
        got = run_conv(conv, c, data, {conv_kernel_sets()[0], 1, 1, 5, 0});
        check_close(got, want, 3e-5, c.name());
    }
}

// No memory: an error, not an end of the program.
TEST(conv_work, out_of_memory)
{
    class None : public ncnn::Allocator
    {
        void* fastMalloc(size_t) override { return nullptr; }
        void fastFree(void*) override {}
    } none;
    for (ConvCase c :
         {ConvCase(16, 3, 4, 4, 1, 0), ConvCase(16, 16, 4, 4), ConvCase(5, 6, 4, 4).upsampled(4)}) {
        const ConvData data(c, 12);
        ncnn::Option opt;
        opt.workspace_allocator = &none;
        ncnn::Mat x(4, 4, c.inputs), y(c.out_w(), c.out_h(), c.outputs);
        x.fill(0.f);
        for (const FirKernels* kernels : conv_kernel_sets()) {
            const Conv conv = prepared(c, data, kernels);
            custom_layers::ConvArguments arguments;
            arguments.x = &x;
            arguments.bias = data.bias.data();
            const int status = kernels ? conv.run(arguments, y, opt)
                                       : conv.run_scalar(data.weights.data(), arguments, y, opt);
            check(status == -1, "%s: status %d without memory", c.name().c_str(), status);
        }
    }
}

// Large layers work in little memory.
TEST(conv_work, workspace_of_large_layers)
{
    struct Layer {
        ConvCase c;
        int most; // MB for each thread
    };
    const Layer layers[] = {
        {ConvCase(512, 512, 64, 64), 60},
        {ConvCase(512, 256, 64, 64).upsampled(4), 110},
        {ConvCase(64, 64, 512, 512), 20},
        {ConvCase(64, 32, 512, 512).upsampled(4), 20},
        {ConvCase(32, 32, 1024, 1024), 20},
        {ConvCase(512, 512, 1024, 1024), 80},
        {ConvCase(512, 512, 1024, 1024).upsampled(4), 260},
        {ConvCase(32, 32, 2048, 2048), 30},
        {ConvCase(128, 64, 1024, 1024).upsampled(4), 60},
        {ConvCase(512, 512, 4, 4).upsampled(4), 60},
        {ConvCase(128, 512, 150, 150).upsampled(4), 260},
        {ConvCase(512, 512, 2048, 2048, 5, 2), 80},
    };
    for (const Layer& layer : layers) {
        const ConvCase& c = layer.c;
        Conv conv = conv_of(c);
        const std::vector<float> weights((size_t)c.inputs * c.outputs * c.kernel_h * c.kernel_w, 0.f);
        conv.prepare(weights.data(), true, *conv_kernel_sets()[0]);
        for (int threads : {1, 2, 8, 32, 200}) {
            const ConvSharing sharing = sharing_of(conv, c, threads);
            const double megabytes = (double)sharing.bytes / (1 << 20);
            if (getenv("CONV_WORKSPACE"))
                printf("    %d->%d@%dx%d up %d, %s, %d threads: way %d, %d shares, %d strips, %.1f MB\n",
                       c.inputs, c.outputs, c.height, c.width, c.up, scheme_name(conv.scheme()), threads,
                       sharing.way, sharing.shares, sharing.strips, megabytes);
            check(sharing.bytes > 0 && megabytes <= 8192 && megabytes <= (double)layer.most * sharing.shares,
                  "%s: %g MB for %d shares", c.name().c_str(), megabytes, sharing.shares);
        }
    }
}
