// How a layer reports a bad shape or parameter: one message that names the layer, what it expects and what it
// got.
#pragma once

#include <layer.h>

#include <string>
#include <vector>

namespace custom_layers
{

// Collects the first message that a layer of the calling thread reports while this object lives, instead of
// stderr. Scopes nest; the innermost one collects. ncnn calls layers on the thread that loads or extracts, so
// the caller of ncnn::Net is the one to hold the scope.
class ErrorScope
{
public:
    ErrorScope();
    ~ErrorScope();
    ErrorScope(const ErrorScope&) = delete;
    ErrorScope& operator=(const ErrorScope&) = delete;

    // Empty when nothing was reported.
    const std::string& message() const { return message_; }

private:
    friend int fail(const ncnn::Layer& layer, const char* format, ...);

    ErrorScope* outer_;
    std::string message_;
};

#if defined(__GNUC__) || defined(__clang__)
#define CUSTOM_LAYERS_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define CUSTOM_LAYERS_PRINTF(text, first)
#endif

// Reports "<type> <name>: <message>" to the innermost ErrorScope, or to ncnn's log when there is none.
// Always returns -1, so that a layer says `return fail(*this, ...)`.
int fail(const ncnn::Layer& layer, const char* format, ...) CUSTOM_LAYERS_PRINTF(2, 3);

// "[3, 64, 64]": outer first, no batch, channels counted unpacked. "[]" for an empty blob.
std::string shape_string(const ncnn::Mat& m);

// "[512], [16, 512]" for several blobs, "nothing" for none.
std::string shape_string(const std::vector<ncnn::Mat>& blobs);

} // namespace custom_layers
