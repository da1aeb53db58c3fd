#include "error.h"

#include <stdarg.h>
#include <stdio.h>

namespace custom_layers
{

static thread_local ErrorScope* innermost_scope = nullptr;

ErrorScope::ErrorScope() : outer_(innermost_scope) { innermost_scope = this; }

ErrorScope::~ErrorScope() { innermost_scope = outer_; }

int fail(const ncnn::Layer& layer, const char* format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    const int length = vsnprintf(nullptr, 0, format, args);
    va_end(args);
    std::string text(length > 0 ? (size_t)length + 1 : 1, '\0');
    if (length > 0)
        vsnprintf(&text[0], text.size(), format, again);
    va_end(again);
    text.pop_back(); // the terminator

    // A layer that was made by hand, outside a Net, has neither type nor name.
    std::string who = layer.type.empty() ? "custom layer" : layer.type;
    if (!layer.name.empty())
        who += " " + layer.name;
    const std::string message = who + ": " + text;

    if (!innermost_scope)
        NCNN_LOGE("%s", message.c_str());
    else if (innermost_scope->message_.empty())
        innermost_scope->message_ = message;
    return -1;
}

std::string shape_string(const ncnn::Mat& m)
{
    const int pack = m.elempack;
    std::vector<int> sizes;
    if (m.dims == 1)
        sizes = {m.w * pack};
    else if (m.dims == 2)
        sizes = {m.h * pack, m.w};
    else if (m.dims == 3)
        sizes = {m.c * pack, m.h, m.w};
    else if (m.dims == 4)
        sizes = {m.c * pack, m.d, m.h, m.w};

    std::string text = "[";
    for (size_t i = 0; i < sizes.size(); i++)
        text += (i ? ", " : "") + std::to_string(sizes[i]);
    return text + "]";
}

std::string shape_string(const std::vector<ncnn::Mat>& blobs)
{
    if (blobs.empty())
        return "nothing";
    std::string text;
    for (size_t i = 0; i < blobs.size(); i++)
        text += (i ? ", " : "") + shape_string(blobs[i]);
    return text;
}

} // namespace custom_layers
