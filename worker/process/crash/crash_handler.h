// When a fatal signal arrives, records where the worker was and which requests were in flight (WorkerRow::crash); then
// lets the signal end it. The supervisor writes the report.
//
// Context: a worker, once, from its main thread. The handlers run in the thread that gets the signal.
#pragma once

#include "common/ipc/scoreboard.h"
#include "worker/exchange/exchange_pool.h"
#include "worker/net/ledger/ledger.h"

namespace pronghorn::worker {

// Handles SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP and SIGSYS, except those that already have a handler: that
// of the sanitizers, unless ASAN_OPTIONS says handle_segv=0 and so on. Also handles SIGURG, by which the supervisor
// asks where the loop is (WorkerRow::stall); processes without a handler ignore that signal. `row` must live until the
// process exits. A stack overflow can be recorded only in this thread, which gets an alternate stack.
void install_crash_handler(WorkerRow& row) noexcept;

// The exchanges of which a crash reports those in flight; null: none. They must outlive their use.
void report_requests_of(const ExchangePool* exchanges) noexcept;
// Where the request that crashes the worker is blamed for it; null: nowhere. Must outlive the process.
void blame_requests_in(Ledger* ledger) noexcept;

}  // namespace pronghorn::worker
