// Detects clients that send just enough to keep their connection.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "worker/net/timeout_lists.h"

namespace pronghorn::worker {

// An account of credit: each byte earns the time that it may take at the minimum rate. A client that was faster may
// pause for as long as it has credit, up to kMostCredit. A timeout detects silence, because the account is checked only
// when bytes arrive.
class ReceiveRate {
 public:
  static constexpr std::int64_t kGraceSeconds = 5;  // what a message begins with
  static constexpr std::int64_t kMostCreditSeconds = 60;

  // A message begins.
  void restart(std::uint64_t tick) noexcept {
    last_tick_ = static_cast<std::uint32_t>(tick);
    balance_ = 0;
  }
  // Reading resumes after the server itself paused it: the pause costs the client nothing.
  void resume(std::uint64_t tick) noexcept { last_tick_ = static_cast<std::uint32_t>(tick); }

  // Counts `received` bytes. True when the account is overdrawn; it then starts again. `minimum` is in bytes per
  // second; zero accepts any rate.
  [[nodiscard]] bool is_too_slow(std::size_t received, std::uint64_t tick, std::uint64_t minimum) noexcept {
    if (minimum == 0) return false;
    const auto rate = static_cast<std::int64_t>(minimum);
    const auto now = static_cast<std::uint32_t>(tick);
    const auto elapsed_ms = static_cast<std::int64_t>((now - last_tick_) * kTickMs);
    last_tick_ = now;
    balance_ += static_cast<std::int64_t>(received) - rate * elapsed_ms / 1000;
    balance_ = std::min(balance_, rate * (kMostCreditSeconds - kGraceSeconds));
    if (balance_ >= -rate * kGraceSeconds) return false;
    restart(tick);
    return true;
  }

 private:
  std::int64_t balance_ = 0;  // bytes more than the minimum rate asks for
  std::uint32_t last_tick_ = 0;
};

}  // namespace pronghorn::worker
