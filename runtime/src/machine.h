// What the machine allows: cores and memory.
#pragma once

#include <cstddef>
#include <string>

namespace runtime
{

// The physical cores that this process may use, no more than a container's or service's quota of processor
// time feeds (1.5 cores are two threads), and at most 16: beyond that batch 1 gains nothing. `root`: as
// group_limits().
int default_threads(const std::string& root = "");

// Bytes that blobs may take: the physical memory, or the container's or service's limit where that is lower.
// Beyond it a request is refused, and becomes an error of the layer. The system itself would often grant it
// and then kill the process.
size_t memory_limit(const std::string& root = "");

// Gives to the system what the heap keeps of blocks that were freed, where those were `bytes` in all: after a
// large model was loaded, a tenth of its memory.
void give_back_heap(size_t bytes);

// Whether our convolutions can multiply in half precision here: what Options::fp16_arithmetic asks for.
bool half_precision();

// Likewise in bfloat16: Options::bf16_arithmetic.
bool bf16_products();

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
    [[maybe_unused]] const int before; // not without OpenMP
};

} // namespace runtime
