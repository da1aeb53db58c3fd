// What has to be known of fork(): the child has one thread, the one that forked, and the memory of all.
#pragma once

#include <mutex>

namespace runtime
{

// A mutex that the child of a fork() finds free: a thread that held it then would never let go there.
class ForkMutex
{
public:
    ForkMutex();
    ~ForkMutex();
    ForkMutex(const ForkMutex&) = delete;
    ForkMutex& operator=(const ForkMutex&) = delete;
    void lock() { mutex.lock(); }
    void unlock() { mutex.unlock(); }

private:
    std::mutex mutex;
};

// Forks that lie between the process that loaded this library and the calling one. Threads that were made at
// a smaller number do not exist here.
unsigned forks();

} // namespace runtime
