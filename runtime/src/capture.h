// ncnn reports its troubles with fprintf(stderr). A Capture keeps what its own thread would have printed, so
// that it becomes the reason inside one Python exception instead of chatter beside it.
#pragma once

#include <string>

namespace runtime
{

class Capture
{
public:
    Capture();
    ~Capture();
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;

    // The captured lines joined by "; ", with control characters removed. Empty where capturing is not
    // possible.
    std::string text() const;

private:
    std::string buffer;
    std::string* outer; // of a Capture further out on this thread
};

} // namespace runtime
