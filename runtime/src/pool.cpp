#include "pool.h"

namespace runtime
{

Pool::~Pool() { release_free(); }

void Pool::release_free()
{
    for (auto& chunk : free_chunks) {
        ncnn::fastFree(chunk.second);
        held -= chunk.first;
    }
    free_chunks.clear();
}

void* Pool::fastMalloc(size_t size)
{
    std::lock_guard<std::mutex> guard(lock);
    // The smallest free chunk that fits, unless most of it would be wasted.
    auto found = free_chunks.lower_bound(size);
    void* ptr = nullptr;
    size_t bytes = size;
    if (found != free_chunks.end() && found->first / 2 <= size + 4096) {
        bytes = found->first;
        ptr = found->second;
        free_chunks.erase(found);
    } else {
        if (size > limit)
            return nullptr;
        if (held + size > limit)
            release_free();
        if (held + size > limit)
            return nullptr;
        ptr = ncnn::fastMalloc(size);
        if (!ptr)
            return nullptr;
        held += size;
    }
    lent.emplace(ptr, bytes);
    lent_bytes += bytes;
    return ptr;
}

void Pool::fastFree(void* ptr)
{
    if (!ptr)
        return;
    std::lock_guard<std::mutex> guard(lock);
    auto found = lent.find(ptr);
    if (found == lent.end())
        return; // not ours: leaking is better than freeing what another heap owns
    free_chunks.emplace(found->second, ptr);
    lent_bytes -= found->second;
    lent.erase(found);
}

std::pair<size_t, size_t> Pool::usage()
{
    std::lock_guard<std::mutex> guard(lock);
    return {held, lent_bytes};
}

} // namespace runtime
