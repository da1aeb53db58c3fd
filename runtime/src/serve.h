// The other side of runtime/isolation/net.py: a process of its own for one net.
#pragma once

namespace runtime
{

// Answers on the socket `control` until its other end is closed, by whom or by what end ever: then the
// process ends at once, whatever it computes. Never returns. Raises a Fault (option) where the system has no
// such sockets.
//
// Each message is its length, 32 bits, and its words, as messages.h has them. The first asks to load a net
// and is answered with what the net is, or with a Fault. Each further one is a byte with two descriptors: a
// socket for one caller at a time, and memory that is shared with it. It begins with a Progress; where in it
// the inputs are and outputs go is said with each run. So arrays are never sent, and any number of callers
// may run at the same time, each on a thread.
[[noreturn]] void serve(int control);

} // namespace runtime
