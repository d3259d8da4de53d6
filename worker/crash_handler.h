// What a worker does when a signal ends it: it writes down where it was and which requests are lost (WorkerRow::crash),
// then dies of that signal. The supervisor makes the report.
//
// Context: a worker, once, from its main thread. The handlers run in whatever thread the signal comes to.
#pragma once

#include "common/ipc/scoreboard.h"
#include "worker/http/exchange_pool.h"

namespace pronghorn::worker {

// Handles SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP and SIGSYS, unless somebody does already: the sanitizers'
// runtime does, until ASAN_OPTIONS says handle_segv=0 and so on. And SIGURG, which asks where the loop stands
// (WorkerRow::stall); it was chosen because a process that does not handle it ignores it. `row` outlives the process'
// use of them. Stack overflows are survived long enough in this thread only: others have no stack to spare.
void install_crash_handler(WorkerRow& row) noexcept;

// The exchanges of which a crash reports those in flight; null: none. They outlive their use.
void report_requests_of(const ExchangePool* exchanges) noexcept;

}  // namespace pronghorn::worker
