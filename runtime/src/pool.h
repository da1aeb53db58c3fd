// The memory of a net's blobs. It lives as long as the net and every array that was handed out: fresh memory
// from the system would cost a page fault for each 4 KiB on each run, more than many a layer's arithmetic.
#pragma once

#include <allocator.h>

#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace runtime
{

// Safe for several threads. `limit` bounds all that it holds, in bytes: a request beyond it gets null, which
// ncnn reports as an error of the layer, where the system might promise the memory and then kill the process.
class Pool : public ncnn::Allocator
{
public:
    explicit Pool(size_t limit) : limit(limit) {}
    ~Pool() override;
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    void* fastMalloc(size_t size) override;
    void fastFree(void* ptr) override;

    // Bytes held from the system, and of those the bytes lent out.
    std::pair<size_t, size_t> usage();
    size_t limit_bytes() const { return limit; }

private:
    void release_free();

    std::mutex lock;
    std::multimap<size_t, void*> free_chunks;
    std::unordered_map<void*, size_t> lent;
    size_t held = 0, lent_bytes = 0;
    const size_t limit;
};

} // namespace runtime
