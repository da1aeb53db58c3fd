// One array as numpy writes it: a magic word, a header that is a dictionary of Python, the numbers.
#pragma once

#include "archive.h"

#include <string>

namespace stylegan
{

// What is wrong with it, in words.
struct NotNpy {
    std::string reason;
};

// Throws NotNpy for another version than 1.0 and 2.0, a header that is not the dictionary of an array, more
// than three dimensions, more than 4096 of the first, a type that is no number of 1, 2, 4 or 8 bytes, or
// another length than these say. Nothing is executed.
Array parse_npy(const std::string& data);

} // namespace stylegan
