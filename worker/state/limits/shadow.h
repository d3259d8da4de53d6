// What limits in shadow mode would have refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pronghorn::worker {

// Attached to a request: the names of these limits.
struct ShadowRefusals {
  std::vector<std::string> names;
};

// Logs the first refusal of each limit, and then at most one line a minute with their number.
//
// Context: loop thread; one per worker.
class ShadowLog {
 public:
  // `limit` is the limit's name in Redis: there are as many as the application has limits.
  void refused(std::string_view limit, std::uint64_t now_ms);

 private:
  static constexpr std::uint64_t kIntervalMs = 60'000;
  struct Line {
    std::uint64_t logged_ms = 0;  // 0: never
    std::uint64_t requests = 0;   // since then
  };
  std::unordered_map<std::string, Line> lines_;
};

}  // namespace pronghorn::worker
