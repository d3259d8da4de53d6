// What the application itself writes to standard output and standard error (printf(), std::cerr, libraries that log)
// must not block the loop.
#pragma once

namespace pronghorn::worker {

// Makes writes to a standard output and standard error that are pipes or sockets fail instead of waiting for a reader:
// what does not fit is lost, and no watchdog kills the worker because a log collector has stopped. Pipes are made as
// large as the kernel allows an ordinary user, for a reader that is only slow. Files and terminals stay as they are.
// Programs that the application starts inherit this. Runs in: worker, before any other thread exists.
void keep_output_from_blocking() noexcept;

}  // namespace pronghorn::worker
