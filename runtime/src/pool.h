// The memory of a net's blobs. It lives as long as the net and every array that was handed out: fresh memory
// from the system would cost a page fault for each page on each run, more than many a layer's arithmetic.
#pragma once

#include <allocator.h>

#include <map>
#include <mutex>
#include <set>
#include <utility>

namespace runtime
{

// One range of addresses, reserved at once and backed by memory only where it was used, from which blocks are
// cut and in which freed neighbours join. Blobs of any sizes, one after another, so share the same pages, and
// what is held is little more than what lives at once. Where the system reserves no addresses, the range is
// made of separate pieces of the heap.
//
// Safe for several threads. `most` bounds all that it holds, in bytes: a request beyond it gets null, which
// ncnn reports as an error of the layer, where the system might promise the memory and then kill the process.
class Pool : public ncnn::Allocator
{
public:
    explicit Pool(size_t most);
    ~Pool() override;
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    void* fastMalloc(size_t size) override;
    void fastFree(void* ptr) override;

    // Gives the memory of everything that is free back to the system; the pool stays usable.
    void trim();

    // Bytes held from the system, and of those the bytes lent out.
    std::pair<size_t, size_t> usage();
    size_t limit_bytes() const { return limit; }

private:
    struct Block {
        size_t size;
        bool free;
        bool begins_piece; // of the heap, or the reserved range: what lies before it is not its neighbour
    };
    using Blocks = std::map<char*, Block>;

    Blocks::iterator take(size_t size);
    bool grow(size_t size);
    Blocks::iterator join_next(Blocks::iterator block);
    void give_back_free_pieces();

    std::mutex lock;
    Blocks blocks;                             // by address, without gaps inside a piece
    std::set<std::pair<size_t, char*>> unused; // the free ones, smallest and lowest first
    char* reserved = nullptr;                  // the range, null where there is none
    size_t touched = 0;                        // bytes of it, from its start, that were ever lent
    size_t heap = 0, lent = 0;                 // bytes in pieces of the heap; bytes lent out
    const size_t limit;
};

} // namespace runtime
