// Makes every layer of this library known to a net, before its param file is loaded.
#pragma once

#include <net.h>

#include <stddef.h>

namespace custom_layers
{

// 0 on success; the number that ncnn returned otherwise.
int register_all(ncnn::Net& net);

// The types that register_all registers, in alphabetical order; their number goes to `count`.
const char* const* layer_names(size_t* count);

} // namespace custom_layers
