// What a layer leaves unwritten would be what earlier runs, perhaps somebody else's, left in the memory. So
// fresh memory is marked, and a blob that still shows a mark when its layer is done is an error.
#pragma once

#include <mat.h>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace runtime
{

// A signalling NaN: arithmetic never makes one, and inputs hold none.
constexpr uint32_t MARK = 0xffa5c3e1u;

// While one lives, all fresh memory of its thread is marked, word by word. Else marks stand at the begin, at
// the end and at 64 places between: enough for a layer that writes nothing, or leaves out rows or channels,
// and it costs nothing that can be measured.
class WholeMarks
{
public:
    explicit WholeMarks(bool whole);
    ~WholeMarks();
    WholeMarks(const WholeMarks&) = delete;
    WholeMarks& operator=(const WholeMarks&) = delete;

private:
    const bool outer;
};

void mark(void* memory, size_t size);

// The place of the first value, in bytes from the blob's begin, that shows a mark. `asked` is the size that
// the blob's memory was asked for with. The gaps between channels are no values.
std::optional<size_t> unwritten(const ncnn::Mat& blob, size_t asked);

} // namespace runtime
