// Layers of a user's own: libraries that are no part of this project, made with sdk/layers.h.
#pragma once

#include <net.h>

#include <filesystem>
#include <string>
#include <vector>

namespace runtime
{

// Loads a library of layers, which every net that is made from now on knows. Returns their types; those that
// it added when it is there already. It stays loaded. Raises a Fault (option) for what is no such library,
// was built with another ncnn, or has a type that exists.
std::vector<std::string> add_layers(const std::filesystem::path& path);

// 0 on success, as ncnn says it.
int register_outside(ncnn::Net& net);

bool is_outside(const std::string& type);

std::vector<std::string> outside_types();
std::vector<std::filesystem::path> outside_libraries(); // in the order in which they came

} // namespace runtime
