#include "worker/exchange/running.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <utility>

#include "pronghorn/task.h"

namespace pronghorn::worker {

namespace {

thread_local Exchange* running = nullptr;
thread_local RunningRequest* journal = nullptr;

template <std::size_t N>
void copy(char (&to)[N], std::string_view text) noexcept {
  if (text.empty()) [[likely]] {
    to[0] = '\0';
    return;
  }
  const std::size_t size = text.size() < N ? text.size() : N - 1;
  std::memcpy(to, text.data(), size);
  to[size] = '\0';
}

// "GET /path", cut. In an origin-form request the two are neighbours, so one copy does.
void write_line(const RequestHead& head) noexcept {
  const std::string_view method = head.method.substr(0, kMaxRunningMethod);
  const std::string_view path = head.path.substr(0, kMaxRunningPath);
  char* const line = journal->line;
  const auto address = [](const char* at) { return reinterpret_cast<std::uintptr_t>(at); };  // null has no neighbours
  if (address(path.data()) == address(method.data()) + method.size() + 1) [[likely]] {
    std::memcpy(line, method.data(), method.size() + 1 + path.size());
  } else {
    // Not memcpy: both are null when the head of a request that is refused has neither.
    *std::copy(method.begin(), method.end(), line) = ' ';
    std::copy(path.begin(), path.end(), line + method.size() + 1);
  }
  line[method.size() + 1 + path.size()] = '\0';
}

// A reader that sees active == 1 finds the fields of that request.
void write_journal(Exchange* exchange) noexcept {
  journal->active.store(0, std::memory_order_release);
  if (exchange == nullptr) return;
  std::atomic_thread_fence(std::memory_order_release);
  write_line(exchange->head);
  journal->id = exchange->number();
  journal->route.store(exchange->route_index, std::memory_order_relaxed);
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

Exchange* set_running(Exchange* exchange) noexcept {
  Exchange* const before = std::exchange(worker::running, exchange);
  if (worker::journal && exchange != before) worker::write_journal(exchange);
  return before;
}

}  // namespace pronghorn::detail
