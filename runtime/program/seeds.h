// Seed files: an int32 zero, then the latent z as little-endian float32.
#pragma once

#include <string>
#include <vector>

namespace stylegan
{

// z [z_dim]. Raises a Fault (input) where the file is missing, has another length, is no seed file, or holds
// NaN or infinity.
std::vector<float> read_seed(const std::string& path, int z_dim);

} // namespace stylegan
