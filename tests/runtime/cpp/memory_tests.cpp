// The pools' promises: an access far outside of a block is a signal, a near one is seen, and so is a blob
// that was not written.
#include <runtime/src/marks.h>
#include <runtime/src/pool.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#define CAN_GUARD 1
#endif

using runtime::make_pool;
using runtime::Pool;

static int failures = 0;

#define CHECK(truth)                                                                                         \
    do {                                                                                                     \
        if (!(truth)) {                                                                                      \
            failures++;                                                                                      \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #truth);                              \
        }                                                                                                    \
    } while (false)

static constexpr size_t MOST = (size_t)1 << 24;
static const size_t SIZES[] = {1, 4, 60, 64, 100, 4000, 4096, 5000, 1 << 16};

#if CAN_GUARD

// Whether a process ends over it.
static bool is_fatal(const std::function<void()>& act)
{
    const pid_t child = fork();
    if (child == 0) {
        const rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        if (!freopen("/dev/null", "w", stderr)) // a sanitizer's report
            _exit(0);
        act();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static void far_accesses_are_signals()
{
    for (size_t size : SIZES) {
        const auto pool = make_pool(MOST, true);
        const auto* const block = (volatile char*)pool->fastMalloc(size);
        auto* const bytes = (volatile char*)block;
        CHECK(!is_fatal([&] { bytes[0] = bytes[size - 1] = 1; }));
        CHECK(!is_fatal([&] { (void)bytes[size + NCNN_MALLOC_OVERREAD - 1]; })); // ncnn does this
        CHECK(is_fatal([&] { (void)bytes[size + 2 * NCNN_MALLOC_OVERREAD]; }));
        CHECK(is_fatal([&] { bytes[size + 2 * NCNN_MALLOC_OVERREAD] = 1; }));
        CHECK(is_fatal([&] { bytes[-4096 - (long)size] = 1; }));
        CHECK(is_fatal([&] {
            pool->fastFree((void*)block);
            bytes[0] = 1;
        }));
    }
}

static void near_writes_are_seen()
{
    for (size_t size : SIZES) {
        const auto pool = make_pool(MOST, true);
        char* const bytes = (char*)pool->fastMalloc(size);
        char* const other = (char*)pool->fastMalloc(size);
        memset(bytes, 0, size);
        memset(other, 0, size);
        CHECK(pool->damage().empty());
        bytes[size] ^= 1;
        CHECK(pool->damage().find("behind its end") != std::string::npos);
        bytes[size] ^= 1;
        CHECK(pool->damage().empty());
        other[size + 3] ^= 1;
        pool->fastFree(other);
        CHECK(pool->damage().find("behind its end") != std::string::npos); // also of a block that is gone
        CHECK(pool->damage().empty());                                     // said once
        if (((size_t)bytes & 4095) != 0) {
            bytes[-1] ^= 1;
            CHECK(pool->damage().find("before its begin") != std::string::npos);
            bytes[-1] ^= 1;
        }
        pool->fastFree(bytes);
        CHECK(pool->damage().empty() && pool->usage().first == 0);
    }
}

static void the_count_of_owners_is_seen()
{
    const auto pool = make_pool(MOST, true);
    ncnn::Mat blob(5, 7, 3, 4u, pool.get());
    CHECK(pool->damage().empty());
    *(float*)blob.refcount = 1.5f; // the first value behind the last
    CHECK(pool->damage().find("behind its end") != std::string::npos);
    *blob.refcount = 1;
    CHECK(pool->damage().empty());
}

static void a_guarded_pool_has_its_limit()
{
    const auto pool = make_pool(1 << 16, true);
    CHECK(pool->fastMalloc(1 << 17) == nullptr);
    void* const block = pool->fastMalloc(40000);
    CHECK(block && pool->asked(block) == 40000 && pool->usage().second > 0);
    CHECK(pool->fastMalloc(40000) == nullptr);
    pool->fastFree(block);
    CHECK(pool->asked(block) == 0);
    CHECK(pool->fastMalloc(40000) != nullptr);
}

#endif

static bool shows_mark(const ncnn::Mat& blob, const Pool& pool)
{
    return runtime::unwritten(blob, const_cast<Pool&>(pool).asked(blob.data)).has_value();
}

// Every value of every small blob, and of large ones what a sample can see.
static void what_was_not_written_is_seen(bool guard)
{
    const auto pool = make_pool(MOST, guard);
    const runtime::WholeMarks whole(true);
    for (int c : {1, 2, 5}) {
        for (int w : {1, 3, 5, 8}) {
            ncnn::Mat blob(w, 2, c, 4u, pool.get());
            CHECK(shows_mark(blob, *pool));
            for (int q = 0; q < c; q++)
                memset(blob.channel(q).data, 0, sizeof(float) * 2 * w); // and not the gaps between channels
            CHECK(!shows_mark(blob, *pool));
        }
    }
    ncnn::Mat line(1000, 4u, pool.get());
    for (int left = 0; left < 1000; left += 37) {
        ncnn::Mat other(1000, 4u, pool.get());
        for (int i = 0; i < 1000; i++)
            if (i != left)
                ((float*)other)[i] = 0;
        CHECK(runtime::unwritten(other, pool->asked(other.data)) == (size_t)left * 4);
    }
}

static void a_sample_sees_what_is_large()
{
    const auto pool = make_pool(MOST, false);
    ncnn::Mat blob(100, 100, 20, 4u, pool.get());
    CHECK(shows_mark(blob, *pool));
    for (int left = 0; left < 20; left++) { // a channel that was left out
        ncnn::Mat other(100, 100, 20, 4u, pool.get());
        for (int q = 0; q < 20; q++)
            if (q != left)
                other.channel(q).fill(0.f);
        CHECK(shows_mark(other, *pool));
    }
    blob.fill(0.f);
    CHECK(!shows_mark(blob, *pool));
    void* const again = pool->fastMalloc(64); // memory that was used before is marked as fresh memory is
    memset(again, 0, 64);
    pool->fastFree(again);
    ncnn::Mat small(16, 4u, pool.get());
    CHECK(shows_mark(small, *pool));
}

int main()
{
#if CAN_GUARD
    far_accesses_are_signals();
    near_writes_are_seen();
    the_count_of_owners_is_seen();
    a_guarded_pool_has_its_limit();
    what_was_not_written_is_seen(true);
#endif
    what_was_not_written_is_seen(false);
    a_sample_sees_what_is_large();
    return failures != 0;
}
