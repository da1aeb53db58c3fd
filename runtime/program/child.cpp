#include "child.h"

#include <new>

#if defined(__unix__) || defined(__APPLE__)
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <sys/mman.h>
#include <sys/resource.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif
#include <sys/wait.h>
#include <unistd.h>
#define STYLEGAN_CAN_FORK 1
#endif

namespace stylegan
{

#if STYLEGAN_CAN_FORK

Watched& watched()
{
    static Watched* const shared = [] {
        void* const memory =
            mmap(nullptr, sizeof(Watched), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        return memory == MAP_FAILED ? new Watched : new (memory) Watched;
    }();
    return *shared;
}

static volatile std::sig_atomic_t asked = 0; // the signal that asks to end
static volatile pid_t child = 0;

extern "C" {
static void hand_on(int number)
{
    if (child > 0)
        kill(child, number);
    if (!asked)
        alarm(1);
    asked = number;
}

// A run that was told to stop is still in a layer: there it may stay for ever.
static void end(int)
{
    if (watched().mapping.layer >= 0 || watched().synthesis.layer >= 0)
        kill(child, SIGKILL);
    else
        alarm(1);
}
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigaction(number, &action, nullptr);
}

static const char* name_of(int number)
{
    switch (number) {
    case SIGSEGV:
        return "SIGSEGV";
    case SIGBUS:
        return "SIGBUS";
    case SIGFPE:
        return "SIGFPE";
    case SIGILL:
        return "SIGILL";
    case SIGABRT:
        return "SIGABRT";
    case SIGKILL:
        return "SIGKILL, as from a system that is out of memory";
    default:
        return "a signal";
    }
}

int in_child(const std::function<int()>& work, const std::function<void(const char* how)>& explain)
{
    watched();
    sigset_t held, before;
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigaddset(&held, SIGTERM);
    sigprocmask(SIG_BLOCK, &held, &before); // until there is a child to hand them to
    const pid_t parent = getpid();
    child = fork();
    if (child < 0) {
        sigprocmask(SIG_SETMASK, &before, nullptr);
        return work();
    }
    if (child == 0) {
        setpgid(0, 0); // Ctrl-C is for the one who waits
#if defined(__linux__)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(2);
#endif
        sigprocmask(SIG_SETMASK, &before, nullptr);
        const rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        const int status = work();
        fflush(nullptr);
        _exit(status);
    }
    handle(SIGINT, hand_on);
    handle(SIGTERM, hand_on);
    handle(SIGALRM, end);
    sigprocmask(SIG_SETMASK, &before, nullptr);
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return 2;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    if (asked) {
        fputs("stopped\n", stderr);
        return 128 + asked;
    }
    explain(name_of(WTERMSIG(status)));
    return 2;
}

#else

Watched& watched()
{
    static Watched only;
    return only;
}

int in_child(const std::function<int()>& work, const std::function<void(const char* how)>&) { return work(); }

#endif

} // namespace stylegan
