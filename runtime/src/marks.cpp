#include "marks.h"

#include <algorithm>
#include <cstring>

namespace runtime
{

static constexpr size_t EDGE = 32, BETWEEN = 64; // words

static thread_local bool whole_marks = false;

WholeMarks::WholeMarks(bool whole) : outer(whole_marks) { whole_marks = whole; }

WholeMarks::~WholeMarks() { whole_marks = outer; }

// Calls `visit` with the numbers of the marked words of `count`, until it returns true.
template <class Visit> static bool marked_words(size_t count, Visit visit)
{
    const size_t edge = whole_marks || count <= 2 * EDGE + BETWEEN ? count : EDGE;
    for (size_t i = 0; i < edge; i++)
        if (visit(i))
            return true;
    if (edge == count)
        return false;
    for (size_t i = 1; i <= BETWEEN; i++)
        if (visit(count / (BETWEEN + 1) * i))
            return true;
    for (size_t i = count - EDGE; i < count; i++)
        if (visit(i))
            return true;
    return false;
}

void mark(void* memory, size_t size)
{
    marked_words(size / sizeof(MARK), [memory](size_t i) {
        memcpy((char*)memory + i * sizeof(MARK), &MARK, sizeof(MARK));
        return false;
    });
}

// Whether any of `count` words is a mark: without a branch for each, so that compilers take several at once.
static bool has_mark(const char* memory, size_t count)
{
    uint32_t found = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t word = 0;
        memcpy(&word, memory + i * sizeof(word), sizeof(word));
        found |= word == MARK;
    }
    return found != 0;
}

std::optional<size_t> unwritten(const ncnn::Mat& blob, size_t asked)
{
    const size_t channel = (size_t)blob.w * blob.h * blob.d * blob.elemsize;
    const size_t step = blob.dims < 3 ? channel : blob.cstep * blob.elemsize;
    const size_t end = step * (size_t)(blob.dims < 3 ? 1 : blob.c);
    std::optional<size_t> found;
    if (whole_marks && !has_mark((const char*)blob.data, std::min(asked, end) / sizeof(MARK)))
        return found;
    marked_words(asked / sizeof(MARK), [&](size_t i) {
        const size_t place = i * sizeof(MARK);
        if (place >= end)
            return true;
        uint32_t word = 0;
        memcpy(&word, (const char*)blob.data + place, sizeof(word));
        if (word != MARK || place % step + sizeof(MARK) > channel)
            return false;
        found = place;
        return true;
    });
    return found;
}

} // namespace runtime
