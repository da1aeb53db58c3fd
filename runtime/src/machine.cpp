#include "machine.h"

#include "cgroup.h"

#include <cpu.h>
#include <custom_layers/conv_kernels.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <thread>

#if defined(_OPENMP) && defined(__EMSCRIPTEN__) // which has no OpenMP of its own
#include <simpleomp.h>
#elif defined(_OPENMP)
#include <omp.h>
#endif

#if defined(__GLIBC__)
#include <malloc.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace runtime
{

static int allowed_cpus()
{
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) // it fails beyond 1024 CPUs
        return CPU_COUNT(&set);
#endif
    return (int)std::thread::hardware_concurrency();
}

int default_threads(const std::string& root)
{
    constexpr int most = 16;
    const int quota = (int)std::min<double>(most, std::ceil(group_limits(root).cpus));
    return std::max(1, std::min({allowed_cpus(), ncnn::get_physical_cpu_count(), quota, most}));
}

size_t memory_limit(const std::string& root)
{
    uint64_t limit = std::min<uint64_t>(SIZE_MAX, group_limits(root).bytes);
#if defined(_SC_PHYS_PAGES) && defined(_SC_PAGESIZE)
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    if (pages > 0 && size > 0)
        limit = std::min(limit, (uint64_t)pages * (uint64_t)size);
#endif
    return (size_t)limit;
}

#if defined(_OPENMP)
ThreadCount::ThreadCount(int threads) : before(omp_get_max_threads()) { omp_set_num_threads(threads); }
ThreadCount::~ThreadCount() { omp_set_num_threads(before); }
#else
ThreadCount::ThreadCount(int threads) : before(threads) {}
ThreadCount::~ThreadCount() = default;
#endif

void give_back_heap(size_t bytes)
{
#if defined(__GLIBC__)
    if (bytes >= (size_t)16 << 20) // it walks the whole heap of the process
        malloc_trim(0);
#else
    (void)bytes;
#endif
}

bool half_precision() { return custom_layers::have_half_kernels(); }

bool bf16_products() { return custom_layers::bf16_kernels() != nullptr; }

} // namespace runtime
