#include "capture.h"

#include <cstdio>
#include <mutex>

namespace runtime
{

// Where this thread's text goes; null: to the real stderr.
static thread_local std::string* target = nullptr;

#if defined(__GLIBC__)

// While at least one Capture lives anywhere, `stderr` is a stream that looks at the writing thread: a
// capturing thread's text is kept, any other thread's text passes on. The stream is made once and never
// closed, because a thread may still hold the pointer after it was swapped back.
static std::mutex swap_lock;
static int captures = 0;
static FILE* real_stderr = nullptr;
static FILE* routed = nullptr;

static ssize_t route(void*, const char* data, size_t size)
{
    if (!target)
        return (ssize_t)fwrite(data, 1, size, real_stderr);
    if (target->size() < 4096)
        target->append(data, size);
    return (ssize_t)size;
}

static void begin()
{
    std::lock_guard<std::mutex> guard(swap_lock);
    if (captures++ > 0)
        return;
    real_stderr = stderr;
    if (!routed) {
        cookie_io_functions_t functions = {};
        functions.write = route;
        routed = fopencookie(nullptr, "w", functions);
        if (routed)
            setvbuf(routed, nullptr, _IONBF, 0);
    }
    if (routed)
        stderr = routed;
}

static void end()
{
    std::lock_guard<std::mutex> guard(swap_lock);
    if (--captures == 0)
        stderr = real_stderr;
}

#else

static void begin() {}
static void end() {}

#endif

Capture::Capture() : outer(target)
{
    begin();
    target = &buffer;
}

Capture::~Capture()
{
    target = outer;
    end();
}

std::string Capture::text() const
{
    std::string clean;
    for (char c : buffer) {
        if (c == '\n')
            c = ';';
        if ((unsigned char)c < 32 || c == 127)
            continue;
        clean += c;
        if (c == ';')
            clean += ' ';
    }
    while (!clean.empty() && (clean.back() == ' ' || clean.back() == ';'))
        clean.pop_back();
    return clean;
}

} // namespace runtime
