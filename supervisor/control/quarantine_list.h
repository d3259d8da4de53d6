// Counts the kills of requests and writes the table of quarantined requests in the scoreboard.
//
// A worker has identified the requests that arrive here: the supervisor never looks at what a client sent. Kills are
// counted here although Redis counts those of all machines, so that the quarantine needs no Redis and begins at once.
//
// Context: supervisor, main thread; the time is passed in (monotonic milliseconds).
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

class QuarantineList {
 public:
  static constexpr std::uint32_t kKills = 2;           // kills that quarantine a request …
  static constexpr std::size_t kShapes = 3;            // shapes with kills that quarantine their route …
  static constexpr std::uint64_t kWindowMs = 60'000;   // … within this time
  static constexpr std::size_t kMaxCounted = 256;      // requests with kills that are not quarantined
  static constexpr std::uint64_t kReleasedMs = 3'000;  // for this time Redis may still list a released request
  static constexpr std::uint64_t kExpiringMs = 2'000;  // an entry that Redis drops this close to its end has expired

  // Continues with the entries of an earlier image of this program. `table` must outlive this.
  explicit QuarantineList(QuarantineTable& table) : table_(table) {}

  // Records one kill. The second within kWindowMs quarantines the request for `time`; 0: the quarantine is off.
  void killed(const QuarantinedRequest& request, Milliseconds time, std::uint64_t now);
  // The kill was by a request of this route, whose shape has the id `shape`. A client could vary the path to make each
  // kill the first of its shape: the third shape within kWindowMs quarantines all requests of the route. Call after
  // killed().
  void killed_in_route(const QuarantinedRequest& route, const std::string& shape, Milliseconds time, std::uint64_t now);
  // Redis lists the request for another `left`: another machine has quarantined it, or this one has.
  void learned(const QuarantineNotice& notice, Milliseconds left, std::uint64_t now);
  // Redis no longer lists the request.
  void ended(std::string_view id, std::uint64_t now);
  // Ends the entry with this id, or "all". Returns how many there were.
  std::size_t release(std::string_view id, std::uint64_t now);
  // Removes expired entries. Call once a second.
  void tick(std::uint64_t now);

 private:
  struct Kills {
    std::uint32_t count = 0;
    std::uint64_t first_ms = 0;
  };

  // Kills of one route, by the id of their shape: when the last one was.
  using Shapes = std::unordered_map<std::string, std::uint64_t>;

  [[nodiscard]] QuarantineRow* find(std::string_view id);
  QuarantineRow* add(const QuarantinedRequest& request, std::uint64_t since_at, std::uint32_t kills, Milliseconds time,
                     std::uint64_t now);
  void remove(QuarantineRow& row, std::string_view why);
  void forget_old(std::uint64_t now);

  QuarantineTable& table_;
  std::unordered_map<std::string, Kills> counted_;           // by id
  std::unordered_map<std::string, Shapes> routes_;           // by id
  std::unordered_map<std::string, std::uint64_t> released_;  // by id: until when learned() ignores it
  bool told_full_ = false;
};

}  // namespace pronghorn::supervisor
