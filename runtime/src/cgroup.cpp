#include "cgroup.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>

namespace runtime
{
namespace
{

// The least of what two files of a group say, one after the other or both in one: quota and period.
void limit_cpus(double quota, double period, GroupLimits& limits)
{
    if (quota > 0 && period > 0) // -1: none
        limits.cpus = std::min(limits.cpus, quota / period);
}

// Which groups were looked at: several ways lead to the same one, and a file that is not there takes its time
// too.
using Seen = std::set<std::string>;

void look_at(const std::string& group, GroupLimits& limits, Seen& seen)
{
    if (!seen.insert(group).second)
        return;
    double quota = 0, period = 0;
    if (std::ifstream(group + "/cpu.max") >> quota >> period) // else it is not there, or "max 100000"
        limit_cpus(quota, period, limits);
    if (std::ifstream(group + "/cpu.cfs_quota_us") >> quota &&
        std::ifstream(group + "/cpu.cfs_period_us") >> period)
        limit_cpus(quota, period, limits);
    for (const char* name : {"/memory.max", "/memory.limit_in_bytes"}) {
        uint64_t bytes = 0;
        if (std::ifstream(group + name) >> bytes)
            limits.bytes = std::min(limits.bytes, bytes);
    }
}

// The group and all that it is in. A container of the first version is told its name outside, which is not
// there: what is limits it is then at the top.
void look_upwards(const std::string& mount, std::string group, GroupLimits& limits, Seen& seen)
{
    if (group.find("/..") != std::string::npos) // it is outside of what is mounted here
        group.clear();
    for (; group.size() > 1; group.resize(group.rfind('/')))
        look_at(mount + group, limits, seen);
    look_at(mount, limits, seen);
}

} // namespace

GroupLimits group_limits(const std::string& root)
{
    GroupLimits limits = {std::numeric_limits<double>::infinity(), UINT64_MAX};
    Seen seen;
    const std::string mount = root + "/sys/fs/cgroup";
    for (const char* top : {"", "/cpu", "/memory"}) // also where nothing says which group it is
        look_at(mount + top, limits, seen);
    std::ifstream file(root + "/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) { // 0::/group, or 4:cpu,cpuacct:/group
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos || line[second + 1] != '/')
            continue;
        const std::string controllers = line.substr(first + 1, second - first - 1),
                          group = line.substr(second + 1);
        if (controllers.empty()) {
            look_upwards(mount, group, limits, seen);
            look_upwards(mount + "/unified", group, limits, seen);
            continue;
        }
        const std::string within = "," + controllers + ",";
        if (within.find(",cpu,") == std::string::npos && within.find(",memory,") == std::string::npos)
            continue; // the others limit neither
        look_upwards(mount + "/" + controllers, group, limits, seen);
        std::istringstream names(controllers);
        for (std::string name; std::getline(names, name, ',');)
            look_upwards(mount + "/" + name, group, limits, seen);
    }
    return limits;
}

} // namespace runtime
