#include "fork_mutex.h"

#include <atomic>
#include <set>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define RUNTIME_CAN_FORK 1
#endif

namespace runtime
{

namespace
{

struct Registry {
    std::mutex lock;
    std::set<ForkMutex*> all;
    std::atomic<unsigned> forks{0};
};

} // namespace

static Registry& registry();

#if RUNTIME_CAN_FORK
extern "C" {
static void before_fork()
{
    registry().lock.lock();
    for (ForkMutex* mutex : registry().all)
        mutex->lock();
}

static void after_fork()
{
    for (ForkMutex* mutex : registry().all)
        mutex->unlock();
    registry().lock.unlock();
}

static void after_fork_in_child()
{
    registry().forks++;
    after_fork();
}
}
#endif

// Never destroyed: threads that were left to themselves may still use it while the process ends.
static Registry& registry()
{
    static Registry* const only = [] {
#if RUNTIME_CAN_FORK
        pthread_atfork(before_fork, after_fork, after_fork_in_child);
#endif
        return new Registry;
    }();
    return *only;
}

ForkMutex::ForkMutex()
{
    std::lock_guard<std::mutex> guard(registry().lock);
    registry().all.insert(this);
}

ForkMutex::~ForkMutex()
{
    std::lock_guard<std::mutex> guard(registry().lock);
    registry().all.erase(this);
}

unsigned forks() { return registry().forks; }

} // namespace runtime
