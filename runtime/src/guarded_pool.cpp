#include "guarded_pool.h"

#include "marks.h"

#include <cstdint>
#include <cstring>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#include <unistd.h>
#define RUNTIME_CAN_GUARD 1
#endif

namespace runtime
{

static constexpr unsigned char FILL = 0xc5; // of what lies between a block and its pages' edges
static constexpr size_t ALIGNMENT = 64;
static constexpr uint32_t MOST_OWNERS = 1 << 16; // of one blob

#if RUNTIME_CAN_GUARD

static size_t page_size()
{
    static const size_t size = (size_t)sysconf(_SC_PAGESIZE);
    return size;
}

static char* map_guarded(size_t length)
{
    void* const all = mmap(nullptr, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED)
        return nullptr;
    if (mprotect((char*)all + page_size(), length - 2 * page_size(), PROT_READ | PROT_WRITE) == 0)
        return (char*)all;
    munmap(all, length);
    return nullptr;
}

static void unmap(char* mapping, size_t length) { munmap(mapping, length); }

bool GuardedPool::possible() { return true; }

#else

static size_t page_size() { return 4096; }
static char* map_guarded(size_t) { return nullptr; }
static void unmap(char*, size_t) {}
bool GuardedPool::possible() { return false; }

#endif

GuardedPool::~GuardedPool()
{
    for (const auto& [begin, block] : blocks)
        unmap(block.mapping, block.length);
}

void* GuardedPool::fastMalloc(size_t size)
{
    const size_t page = page_size();
    if (size > limit)
        return nullptr;
    const size_t body = (size + NCNN_MALLOC_OVERREAD + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    const size_t pages = (body + page - 1) / page * page;
    char* begin = nullptr;
    {
        std::lock_guard<ForkMutex> guard(lock);
        if (held + pages > limit)
            return nullptr;
        char* const mapping = map_guarded(pages + 2 * page);
        if (!mapping)
            return nullptr;
        held += pages;
        begin = mapping + page + pages - body;
        blocks.emplace(begin, Block{mapping, pages + 2 * page, size});
        memset(mapping + page, FILL, (size_t)(begin - mapping) - page);
        memset(begin + size, FILL, body - size);
    }
    const WholeMarks whole(true);
    mark(begin, size);
    return begin;
}

std::string GuardedPool::damage_of(char* begin, const Block& block)
{
    const char* const first = block.mapping + page_size();
    const char* const last = block.mapping + block.length - page_size();
    const auto filled = [](const char* from, const char* to) {
        for (; from < to; from++)
            if ((unsigned char)*from != FILL)
                return false;
        return true;
    };
    const std::string blob = "a blob of " + std::to_string(block.asked) + " bytes was ";
    if (!filled(first, begin))
        return blob + "written to before its begin";
    if (!filled(begin + block.asked, last))
        return blob + "written to behind its end";
    uint32_t owners = MARK; // ncnn asks for a blob's values and this count, which it sets a little later
    if (block.asked >= 2 * sizeof(owners) && block.asked % sizeof(owners) == 0)
        memcpy(&owners, begin + block.asked - sizeof(owners), sizeof(owners));
    return owners != MARK && owners > MOST_OWNERS ? blob + "written to behind its end" : "";
}

void GuardedPool::fastFree(void* ptr)
{
    std::lock_guard<ForkMutex> guard(lock);
    const auto found = blocks.find((char*)ptr);
    if (found == blocks.end())
        return;
    if (seen.empty())
        seen = damage_of(found->first, found->second);
    held -= found->second.length - 2 * page_size();
    unmap(found->second.mapping, found->second.length);
    blocks.erase(found);
}

std::string GuardedPool::damage()
{
    std::lock_guard<ForkMutex> guard(lock);
    std::string found = std::move(seen);
    seen.clear();
    for (const auto& [begin, block] : blocks)
        if (found.empty())
            found = damage_of(begin, block);
    return found;
}

std::pair<size_t, size_t> GuardedPool::usage()
{
    std::lock_guard<ForkMutex> guard(lock);
    return {held, held};
}

size_t GuardedPool::asked(const void* ptr)
{
    std::lock_guard<ForkMutex> guard(lock);
    const auto found = blocks.find((char*)ptr);
    return found == blocks.end() ? 0 : found->second.asked;
}

} // namespace runtime
