// What the machine allows: cores and memory.
#pragma once

#include <cstddef>

namespace runtime
{

// The physical cores that this process may use, at most 16: beyond that batch 1 gains nothing.
int default_threads();

// Bytes that blobs may take: the physical memory, or the container's limit where that is lower. Beyond it a
// request is refused, and becomes an error of the layer. The system itself would often grant it and then kill
// the process.
size_t memory_limit();

// While one lives, OpenMP's loops of the calling thread that do not say how many threads they take, some of
// those that prepare weights, take as many as this.
class ThreadCount
{
public:
    explicit ThreadCount(int threads);
    ~ThreadCount();
    ThreadCount(const ThreadCount&) = delete;
    ThreadCount& operator=(const ThreadCount&) = delete;

private:
    const int before;
};

} // namespace runtime
