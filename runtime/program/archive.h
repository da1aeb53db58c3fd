// Arrays of numpy in files that a stranger may have made: .npy, and .npz, which is a zip archive of them.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace stylegan
{

// An array of up to three dimensions, in the order of C.
struct Array {
    std::vector<size_t> shape;
    char kind;                 // 'f', 'i' or 'u', as numpy's dtype.kind
    std::string type;          // such as "float32", for messages
    std::vector<float> values; // as many as the shape says; infinite where float32 cannot hold one

    std::string text() const; // such as "float32 of [16, 128]"
};

// Every array of the file whose entry is in `wanted`, in that order; a .npy is the entry `wanted.front()`.
// What is not there is left out, unless it is the first. The entries may be stored or deflated. Raises a
// Fault (input) for a file that is missing, not regular, larger than 128 MB, damaged, or that holds something
// else than numbers of 1, 2, 4 or 8 bytes: before memory is taken for what it promises.
std::vector<std::pair<std::string, Array>> read_arrays(const std::string& path,
                                                       const std::vector<std::string>& wanted);

} // namespace stylegan
