// The command line of the program: numbers, then files, in the order of the predecessor's program.
#pragma once

#include "controls.h"
#include "generator.h"

#include <string>
#include <vector>

namespace stylegan
{

extern const char* const usage;

enum class Mode { image = 0, mix = 1, a2b = 2 };

// A command line that makes sense by itself; the files were not looked at.
struct Request {
    Mode mode = Mode::image;
    int z_dim = 0, num_ws = 0;
    float trunc = 1;
    bool fp16 = false;
    bool bf16 = false;
    std::vector<std::string> seeds; // one, or A and B; with blend= as many as there are
    Controls controls;
    Files files;
    std::vector<int> styles; // mix: those of A that B's replace, each below num_ws
    int frames = 0;          // a2b: from A to B
    std::string fps;         // a2b: a number from 1 to 1000
};

// `arguments` without the program's name. Raises a Fault (option) for a wrong number of arguments, or one
// that is not what its place asks for, and for --fp16 or --bf16 where the processor does not have it.
Request parse(const std::vector<std::string>& arguments);

} // namespace stylegan
