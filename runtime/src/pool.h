// The memory of a net's blobs. It lives as long as the net and every array that was handed out: fresh memory
// from the system would cost a page fault for each page on each run, more than many a layer's arithmetic.
#pragma once

#include <allocator.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

namespace runtime
{

// Safe for several threads, and for fork(). Fresh memory is marked (marks.h).
class Pool : public ncnn::Allocator
{
public:
    // Gives the memory of everything that is free back to the system; the pool stays usable.
    virtual void trim() = 0;

    // Bytes held from the system, and of those the bytes lent out.
    virtual std::pair<size_t, size_t> usage() = 0;

    // What was asked for with this pointer; 0 where it is not the begin of a block that is lent.
    virtual size_t asked(const void* ptr) = 0;

    // Whether each block lies between pages that nobody may touch.
    virtual bool guards() const = 0;

    // What was written outside of a block, in words, and no more of it the next time; empty where nothing was
    // seen. Only what guards() looks.
    virtual std::string damage() = 0;

    virtual size_t limit_bytes() const = 0;
};

// `most` bounds all that it holds, in bytes: a request beyond it gets null, which ncnn reports as an error of
// the layer, where the system might promise the memory and then kill the process. Raises a Fault (option)
// where `guard` is asked for and the system has no such pages.
std::shared_ptr<Pool> make_pool(size_t most, bool guard);

} // namespace runtime
