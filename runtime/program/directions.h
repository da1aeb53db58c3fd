// How far edit= and move= take the styles, as runtime/edits.py and runtime/renderer.py have it.
#pragma once

#include "archive.h"
#include "controls.h"
#include "generator.h"

#include <map>
#include <string>
#include <vector>

namespace stylegan
{

// A file's vectors, and what it says of the styles that they are for.
using DirectionFile = std::map<std::string, Array>; // "directions", and perhaps "styles"

// The files of edit=, by their paths. Raises a Fault (input) for one that read_arrays() does not take.
std::map<std::string, DirectionFile> read_directions(const std::vector<Edit>& edits);

// [num_ws, w_dim]: what is added to each style. Raises a Fault (input or option) for directions that are not
// of this network, not finite, or not there.
std::vector<float> movement(const Controls& controls, const std::map<std::string, DirectionFile>& files,
                            const Generator& generator, int w_dim);

} // namespace stylegan
