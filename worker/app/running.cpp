#include "worker/app/running.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "pronghorn/task.h"

namespace pronghorn::worker {

namespace {

thread_local Exchange* running = nullptr;
thread_local RunningRequest* journal = nullptr;

template <std::size_t N>
void copy(char (&to)[N], std::string_view from) noexcept {
  const std::size_t length = std::min(from.size(), N - 1);
  std::memcpy(to, from.data(), length);
  to[length] = '\0';
}

// A reader that sees active == 1 finds the fields of that request.
void tell(Exchange* exchange) noexcept {
  journal->active.store(0, std::memory_order_release);
  if (!exchange) return;
  std::atomic_thread_fence(std::memory_order_release);
  copy(journal->method, exchange->head.method);
  copy(journal->path, exchange->head.path);
  copy(journal->id, exchange->id());
  const auto since_boot = exchange->started.time_since_epoch();
  journal->started_ms.store(
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(since_boot).count()),
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
