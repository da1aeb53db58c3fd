// What the control groups of Linux leave to this process: a container's, a service's.
#pragma once

#include <cstdint>
#include <string>

namespace runtime
{

struct GroupLimits {
    double cpus;    // seconds of processor time in a second; infinite without a limit
    uint64_t bytes; // of memory; UINT64_MAX without one
};

// Of the groups that the process is in and of all around them, of either version. `root` is put before /proc
// and /sys, for tests. What cannot be read limits nothing.
GroupLimits group_limits(const std::string& root = "");

} // namespace runtime
