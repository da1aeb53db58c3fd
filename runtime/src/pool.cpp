#include "pool.h"

#include "fault.h"
#include "guarded_pool.h"
#include "range_pool.h"

namespace runtime
{

std::shared_ptr<Pool> make_pool(size_t most, bool guard)
{
    if (!guard)
        return std::make_shared<RangePool>(most);
    if (!GuardedPool::possible())
        throw Fault(Kind::option, "guard=True, but this system has no pages that nobody may touch");
    return std::make_shared<GuardedPool>(most);
}

} // namespace runtime
