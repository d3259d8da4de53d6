// Which requests this machine refuses because they killed workers: counting, and the table in the scoreboard.
//
// Context: supervisor, main thread; the time is passed in (monotonic milliseconds). A request comes here as a worker
// has identified it: what a client sent is never looked at.
//
// Kills are counted here even when Redis counts those of all machines: so the quarantine works without it, and begins
// at once.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/config/config.h"
#include "common/ipc/quarantine_table.h"

namespace pronghorn::supervisor {

class Quarantine {
 public:
  static constexpr std::uint32_t kKills = 2;           // so many …
  static constexpr std::uint64_t kWindowMs = 60'000;   // … within so long
  static constexpr std::size_t kMaxCounted = 256;      // requests that have killed and are not quarantined
  static constexpr std::uint64_t kReleasedMs = 3'000;  // what Redis says of a released one is not believed so long
  static constexpr std::uint64_t kExpiringMs = 2'000;  // one that ends when it had no longer than this has expired

  // Takes up what an earlier image of this program has left in the table.
  explicit Quarantine(QuarantineTable& table) : table_(table) {}

  // One kill. The second within kWindowMs quarantines the request for `time`; 0: nothing is done.
  void killed(const QuarantinedRequest& request, Milliseconds time, std::uint64_t now);
  // Redis has it, for `left` still: from another machine, or what was counted here.
  void learned(const QuarantineNotice& notice, Milliseconds left, std::uint64_t now);
  // Redis has it no more.
  void ended(std::string_view id, std::uint64_t now);
  // `id`, or "all" of them. Returns how many were there.
  std::size_t release(std::string_view id, std::uint64_t now);
  // Once a second: forgets what has ended.
  void tick(std::uint64_t now);

 private:
  struct Kills {
    std::uint32_t count = 0;
    std::uint64_t first_ms = 0;
  };

  [[nodiscard]] QuarantineRow* find(std::string_view id);
  QuarantineRow* add(const QuarantinedRequest& request, std::uint64_t since_at, std::uint32_t kills, Milliseconds time,
                     std::uint64_t now);
  void remove(QuarantineRow& row, std::string_view why);
  void forget_old(std::uint64_t now);

  QuarantineTable& table_;
  std::unordered_map<std::string, Kills> counted_;           // by id
  std::unordered_map<std::string, std::uint64_t> released_;  // by id: until when Redis is not believed
  bool told_full_ = false;
};

}  // namespace pronghorn::supervisor
