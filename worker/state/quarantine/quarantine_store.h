// The quarantine in Redis: what all machines with the same `name` refuse, and the kills that they count together.
//
// {NAME:q} is a hash: id → "UNTIL SINCE KILLS METHOD ROUTE SHAPE", UNTIL in milliseconds of the clock of Redis.
// {NAME:q}:ID counts the kills of one request for a minute. Both go by themselves.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/ipc/quarantine_table.h"
#include "pronghorn/task.h"

namespace pronghorn::worker {

class RedisClient;

// Context: loop thread. `client` outlives it. Everything throws what run_script() does.
class QuarantineStore {
 public:
  static constexpr std::uint64_t kKills = 2;                   // so many …
  static constexpr std::chrono::milliseconds kWindow{60'000};  // … within so long

  struct Stored {
    QuarantineNotice notice;
    std::chrono::milliseconds left{};  // at least 1
  };

  // `name`: the option.
  QuarantineStore(RedisClient& client, std::string_view name);

  // One kill on any machine; the second within kWindow quarantines the request for `time`. Returns how many there are
  // now.
  [[nodiscard]] Task<std::uint64_t> count_kill(QuarantinedRequest request, std::chrono::milliseconds time);
  // An entry that was made while Redis was away. One that is there stays as it is.
  [[nodiscard]] Task<void> put(Stored stored);
  // What has not ended, at most kMaxQuarantined. What cannot be understood is left out, and told once in the log.
  [[nodiscard]] Task<std::vector<Stored>> list();
  // An id, or "all".
  [[nodiscard]] Task<void> release(std::string id);

 private:
  void tell_malformed(std::string_view what);

  RedisClient& client_;
  std::string entries_key_;
  bool told_malformed_ = false;
};

}  // namespace pronghorn::worker
