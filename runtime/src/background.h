// Work on a second thread, so that its caller can stop waiting for it: nothing ends a layer of ncnn that runs
// for minutes, but a signal has to act at once.
#pragma once

#include <functional>

namespace runtime
{

// Does `work` on a second thread that belongs to the calling one, and waits for it. What `work` raises comes
// out here. Every 50 ms `wake` is called; when it raises, that comes out, and `work` is left to itself with
// all that it holds: it must own, or share, whatever it touches, and what it holds is destroyed on its
// thread.
//
// The second thread stays for the next call, and so do the threads that OpenMP made for it. A fork() takes
// neither along: in the child there is a new one, where ncnn's threads would wait for ever on the thread that
// called it before.
void in_background(std::function<void()> work, const std::function<void()>& wake);

} // namespace runtime
