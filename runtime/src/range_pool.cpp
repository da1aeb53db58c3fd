#include "range_pool.h"

#include "marks.h"

#include <cstdint>
#include <cstdio>
#include <iterator>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#define RUNTIME_CAN_RESERVE 1
#endif

namespace runtime
{

static const size_t ALIGNMENT = 64;
static const size_t LARGE_PAGE = (size_t)2 << 20;
static const size_t MOST = (size_t)1 << (sizeof(size_t) > 4 ? 40 : 31); // more addresses are not asked for

// What a request takes: ncnn reads a little beyond the end of a blob.
static size_t rounded(size_t size)
{
    return (size + NCNN_MALLOC_OVERREAD + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

// Addresses without memory behind them; null where the system has no such thing or not that many.
static char* reserve(size_t size)
{
#if RUNTIME_CAN_RESERVE
    // Where the system never promises more than it has, a range would be memory taken from everybody else.
    if (FILE* const setting = fopen("/proc/sys/vm/overcommit_memory", "r")) {
        const int strict = fgetc(setting) == '2';
        fclose(setting);
        if (strict)
            return nullptr;
    }
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif
    void* const range =
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED)
        return nullptr;
#ifdef MADV_HUGEPAGE
    madvise(range, size, MADV_HUGEPAGE); // 512 page faults become one
#endif
    return (char*)range;
#else
    (void)size;
    return nullptr;
#endif
}

static void unreserve(char* range, size_t size)
{
#if RUNTIME_CAN_RESERVE
    munmap(range, size);
#else
    (void)range, (void)size;
#endif
}

// The memory behind whole pages of [begin, end) goes back; the addresses stay.
static void discard(char* begin, char* end)
{
#if RUNTIME_CAN_RESERVE
    const uintptr_t page = 4096 * 16; // a multiple of every common page size
    const uintptr_t first = ((uintptr_t)begin + page - 1) / page * page, last = (uintptr_t)end / page * page;
    if (first < last)
        madvise((void*)first, last - first, MADV_DONTNEED);
#else
    (void)begin, (void)end;
#endif
}

RangePool::RangePool(size_t most) : limit((most < MOST ? most : MOST) / LARGE_PAGE * LARGE_PAGE)
{
    reserved = limit ? reserve(limit) : nullptr;
    if (reserved) {
        blocks.emplace(reserved, Block{limit, true, true});
        unused.emplace(limit, reserved);
    }
}

RangePool::~RangePool()
{
    give_back_free_pieces();
    if (reserved)
        unreserve(reserved, limit);
}

// The smallest free block that fits, the lowest of these: high addresses stay untouched as long as possible.
RangePool::Blocks::iterator RangePool::take(size_t size)
{
    const auto found = unused.lower_bound({size, nullptr});
    if (found == unused.end())
        return blocks.end();
    const auto block = blocks.find(found->second);
    unused.erase(found);
    if (const size_t rest = block->second.size - size) {
        char* const behind = block->first + size;
        blocks.emplace(behind, Block{rest, true, false});
        unused.emplace(rest, behind);
    }
    block->second.size = size;
    block->second.free = false;
    return block;
}

// A new piece of the heap, where no range could be reserved.
bool RangePool::grow(size_t size)
{
    if (reserved || size > limit)
        return false;
    give_back_free_pieces(); // none of them is large enough
    if (heap + size > limit)
        return false;
    char* const piece = (char*)ncnn::fastMalloc(size);
    if (!piece)
        return false;
    heap += size;
    blocks.emplace(piece, Block{size, true, true});
    unused.emplace(size, piece);
    return true;
}

char* RangePool::lend(size_t size)
{
    const size_t asked = size;
    size = rounded(size);
    std::lock_guard<ForkMutex> guard(lock);
    auto block = take(size);
    if (block == blocks.end() && grow(size))
        block = take(size);
    if (block == blocks.end())
        return nullptr;
    lent += size;
    block->second.asked = asked;
    if (reserved) {
        const size_t end = (size_t)(block->first - reserved) + size;
        touched = end > touched ? end : touched;
    }
    return block->first;
}

void* RangePool::fastMalloc(size_t size)
{
    char* const memory = size > limit ? nullptr : lend(size);
    if (memory)
        mark(memory, size);
    return memory;
}

size_t RangePool::asked(const void* ptr)
{
    std::lock_guard<ForkMutex> guard(lock);
    const auto block = blocks.find((char*)ptr);
    return block == blocks.end() || block->second.free ? 0 : block->second.asked;
}

// `block` and the free one behind it, if there is such a one, become one.
RangePool::Blocks::iterator RangePool::join_next(Blocks::iterator block)
{
    const auto next = std::next(block);
    if (next == blocks.end() || !next->second.free || next->second.begins_piece)
        return block;
    unused.erase({next->second.size, next->first});
    block->second.size += next->second.size;
    blocks.erase(next);
    return block;
}

void RangePool::fastFree(void* ptr)
{
    if (!ptr)
        return;
    std::lock_guard<ForkMutex> guard(lock);
    auto block = blocks.find((char*)ptr);
    if (block == blocks.end() || block->second.free)
        return; // not ours: leaking is better than freeing what another heap owns
    lent -= block->second.size;
    block->second.free = true;
    join_next(block);
    if (!block->second.begins_piece) {
        const auto before = std::prev(block);
        if (before->second.free) {
            unused.erase({before->second.size, before->first});
            block = join_next(before);
        }
    }
    unused.emplace(block->second.size, block->first);
}

void RangePool::give_back_free_pieces()
{
    for (auto block = blocks.begin(); block != blocks.end();) {
        const auto next = std::next(block);
        const bool whole = block->second.begins_piece && (next == blocks.end() || next->second.begins_piece);
        if (whole && block->second.free && block->first != reserved) {
            unused.erase({block->second.size, block->first});
            heap -= block->second.size;
            ncnn::fastFree(block->first);
            blocks.erase(block);
        }
        block = next;
    }
}

void RangePool::trim()
{
    std::lock_guard<ForkMutex> guard(lock);
    give_back_free_pieces();
    if (!reserved)
        return;
    size_t end = 0;
    for (const auto& [address, block] : blocks) {
        if (block.free)
            discard(address, address + block.size);
        else
            end = (size_t)(address - reserved) + block.size;
    }
    touched = end;
}

std::pair<size_t, size_t> RangePool::usage()
{
    std::lock_guard<ForkMutex> guard(lock);
    return {heap + touched, lent};
}

} // namespace runtime
