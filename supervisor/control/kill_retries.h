// Recognises a kill that repeats another one: a browser resends a request whose connection ended (of a worker without a
// ledger, or with a stream), so one click kills two workers.
//
// Context: supervisor, main thread. No I/O; the time is passed in (monotonic milliseconds).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace pronghorn::supervisor {

class KillRetries {
 public:
  static constexpr std::uint64_t kRetryMs = 50;

  // Records a kill by this request of this client (killing_client()). True: the same client has killed with the same
  // request less than kRetryMs ago, so this kill does not count. Kills of unknown clients (0) always count.
  [[nodiscard]] bool is_retry(const std::string& request, std::uint64_t client, std::uint64_t now) {
    std::erase_if(recent_, [now](const Kill& kill) { return now - kill.at >= kRetryMs; });
    if (client == 0) return false;
    const auto same = [&](const Kill& kill) { return kill.client == client && kill.request == request; };
    if (std::ranges::any_of(recent_, same)) return true;
    if (recent_.size() < kMaxRecent) recent_.push_back({.request = request, .client = client, .at = now});
    return false;
  }

 private:
  static constexpr std::size_t kMaxRecent = 64;

  struct Kill {
    std::string request;
    std::uint64_t client;
    std::uint64_t at;
  };
  std::vector<Kill> recent_;  // that count
};

}  // namespace pronghorn::supervisor
