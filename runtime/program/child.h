// The work in a process of its own: what a net's layers do to it is a message, not a crash.
#pragma once

#include <runtime/src/net.h>

#include <functional>

namespace stylegan
{

// Of each net, where it is. Shared with the process that waits.
struct Watched {
    runtime::Progress mapping, synthesis;
};

// What runs report to; always there.
Watched& watched();

// Does `work` in a child process and returns its exit status. Where the child ends by a fault, returns 2
// after `explain` has said where: it is given the signal's name. Signals that ask to end are handed on, and a
// second later the child is ended if it has not obeyed; the status is 128 and the signal's number then.
int in_child(const std::function<int()>& work, const std::function<void(const char* how)>& explain);

} // namespace stylegan
