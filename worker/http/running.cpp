#include "worker/http/running.h"

#include <chrono>
#include <cstring>
#include <utility>

#include "pronghorn/task.h"

namespace pronghorn::worker {

namespace {

thread_local Exchange* running = nullptr;
thread_local RunningRequest* journal = nullptr;

template <std::size_t N>
void copy(char (&to)[N], std::string_view text) noexcept {
  const std::size_t size = text.size() < N ? text.size() : N - 1;
  std::memcpy(to, text.data(), size);
  to[size] = '\0';
}

// A reader that sees active == 1 finds the fields of that request.
void tell(Exchange* exchange) noexcept {
  journal->active.store(0, std::memory_order_release);
  if (!exchange) return;
  std::atomic_thread_fence(std::memory_order_release);
  const std::string_view method = exchange->head.method.substr(0, kMaxRunningMethod);
  const std::string_view path = exchange->head.path.substr(0, kMaxRunningPath);
  char* out = journal->line;
  std::memcpy(out, method.data(), method.size());
  out += method.size();
  *out++ = ' ';
  std::memcpy(out, path.data(), path.size());
  out[path.size()] = '\0';
  journal->id = exchange->number();
  copy(journal->client_id, exchange->client_id());
  copy(journal->trace_id, exchange->caller_trace());
  journal->started_ns.store(static_cast<std::uint64_t>(exchange->started.time_since_epoch().count()),
                            std::memory_order_relaxed);
  journal->active.store(1, std::memory_order_release);
}

}  // namespace

Exchange* running_exchange() noexcept { return running; }

void use_journal(RunningRequest* to) noexcept { journal = to; }

}  // namespace pronghorn::worker

namespace pronghorn::detail {

worker::Exchange* set_running(worker::Exchange* exchange) noexcept {
  worker::Exchange* const before = std::exchange(worker::running, exchange);
  if (worker::journal && exchange != before) worker::tell(exchange);
  return before;
}

}  // namespace pronghorn::detail
