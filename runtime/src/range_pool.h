// The pool that nets run on.
#pragma once

#include "fork_mutex.h"
#include "pool.h"

#include <map>
#include <set>

namespace runtime
{

// One range of addresses, reserved at once and backed by memory only where it was used, from which blocks are
// cut and in which freed neighbours join. Blobs of any sizes, one after another, so share the same pages, and
// what is held is little more than what lives at once. Where the system reserves no addresses, the range is
// made of separate pieces of the heap.
class RangePool : public Pool
{
public:
    explicit RangePool(size_t most);
    ~RangePool() override;
    RangePool(const RangePool&) = delete;
    RangePool& operator=(const RangePool&) = delete;

    void* fastMalloc(size_t size) override;
    void fastFree(void* ptr) override;
    void trim() override;
    std::pair<size_t, size_t> usage() override;
    size_t asked(const void* ptr) override;
    bool guards() const override { return false; }
    std::string damage() override { return ""; }
    size_t limit_bytes() const override { return limit; }

private:
    struct Block {
        size_t size;
        bool free;
        bool begins_piece; // of the heap, or the reserved range: what lies before it is not its neighbour
        size_t asked = 0;  // of `size`, where it is lent
    };
    using Blocks = std::map<char*, Block>;

    char* lend(size_t size);
    Blocks::iterator take(size_t size);
    bool grow(size_t size);
    Blocks::iterator join_next(Blocks::iterator block);
    void give_back_free_pieces();

    ForkMutex lock;
    Blocks blocks;                             // by address, without gaps inside a piece
    std::set<std::pair<size_t, char*>> unused; // the free ones, smallest and lowest first
    char* reserved = nullptr;                  // the range, null where there is none
    size_t touched = 0;                        // bytes of it, from its start, that were ever lent
    size_t heap = 0, lent = 0;                 // bytes in pieces of the heap; bytes lent out
    const size_t limit;
};

} // namespace runtime
