// The quarantine in Redis: the requests that all machines with the same `name` refuse, and the kills they count together.
//
// {NAME:q} is a hash: id → "UNTIL SINCE KILLS METHOD ROUTE SHAPE", with UNTIL in milliseconds of Redis' clock.
// {NAME:q}:ID counts the kills by one request for a minute. Both keys expire.
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

// Context: loop thread. Must not outlive `client`.
// Errors:  RedisUnavailable if Redis cannot serve, RedisError for other error replies.
class QuarantineStore {
 public:
  // This many kills within this time quarantine a request.
  static constexpr std::uint64_t kKills = 2;
  static constexpr std::chrono::milliseconds kWindow{60'000};

  struct Stored {
    QuarantineNotice notice;
    std::chrono::milliseconds left{};  // until the entry expires, at least 1
  };

  // `name` is the option `name`.
  QuarantineStore(RedisClient& client, std::string_view name);

  // Counts one kill; the second within kWindow, on any machine, quarantines the request for `time`. Yields the number of
  // kills so far.
  [[nodiscard]] Task<std::uint64_t> count_kill(QuarantinedRequest request, std::chrono::milliseconds time);
  // Adds an entry that was made while Redis was unavailable. An existing entry stays as it is.
  [[nodiscard]] Task<void> put(Stored stored);
  // The entries that have not expired, at most kMaxQuarantined. Malformed ones are skipped and logged once.
  [[nodiscard]] Task<std::vector<Stored>> list();
  // Removes the entry with this id, or all of them: "all".
  [[nodiscard]] Task<void> release(std::string id);

 private:
  void tell_malformed(std::string_view what);

  RedisClient& client_;
  std::string entries_key_;
  bool told_malformed_ = false;
};

}  // namespace pronghorn::worker
