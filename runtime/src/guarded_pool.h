// The pool for nets that nobody trusts: a layer that leaves its blobs is seen.
#pragma once

#include "fork_mutex.h"
#include "pool.h"

#include <map>

namespace runtime
{

// Every block has pages of its own between two that nobody may touch, and ends as near to the one behind it
// as ncnn's own reading beyond the end allows: 64 bytes. Reading or writing further is a signal at once, and
// so is the use of a block that was freed. What is written between the block and the pages is seen by
// damage(), and so is a write over the count of owners, which ncnn keeps right behind a blob's values.
// All fresh memory is marked, word by word.
class GuardedPool : public Pool
{
public:
    explicit GuardedPool(size_t most) : limit(most) {}
    ~GuardedPool() override;
    GuardedPool(const GuardedPool&) = delete;
    GuardedPool& operator=(const GuardedPool&) = delete;

    static bool possible();

    void* fastMalloc(size_t size) override;
    void fastFree(void* ptr) override;
    void trim() override {}
    std::pair<size_t, size_t> usage() override;
    size_t asked(const void* ptr) override;
    bool guards() const override { return true; }
    std::string damage() override;
    size_t limit_bytes() const override { return limit; }

private:
    struct Block {
        char* mapping; // a guard page, pages, a guard page
        size_t length; // of all of them
        size_t asked;
    };
    static std::string damage_of(char* begin, const Block& block);

    ForkMutex lock;
    std::map<char*, Block> blocks;
    size_t held = 0;  // bytes of all pages that can be touched
    std::string seen; // damage of a block that is gone
    const size_t limit;
};

} // namespace runtime
