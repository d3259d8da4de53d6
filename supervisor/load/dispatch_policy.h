// Which worker gets the next client, for the balances with which the supervisor accepts. Without I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"

namespace pronghorn::supervisor {

// A worker that is ready.
struct Candidate {
  int pid = 0;
  std::uint32_t slot = 0;
  std::uint64_t connections = 0;  // open, and on their way to it
  std::uint64_t in_flight = 0;    // requests, and connections on their way
  double latency_us = 0;          // mean of the last second; 0: it answered nothing
};

class DispatchPolicy {
 public:
  // `seed` is for the random balance.
  DispatchPolicy(Balance balance, std::uint32_t seed) : balance_(balance), random_(seed) {}

  // The index of the chosen one in `candidates`, which are not empty and ordered by slot. `key` decides alone for the
  // two hash balances: as long as the slot that it leads to has a worker, it leads there, whatever happens to the
  // others.
  [[nodiscard]] std::size_t choose(const std::vector<Candidate>& candidates, std::uint64_t key);

 private:
  Balance balance_;
  std::minstd_rand random_;
  std::uint32_t next_slot_ = 0;
};

[[nodiscard]] std::uint64_t hash_key(std::string_view bytes) noexcept;

// What the beginning of a client's first request tells of its session.
struct CookieLook {
  bool complete = false;  // the head has ended, or the cookie has: more bytes would change nothing
  std::string value;      // of the cookie; empty: none
};
[[nodiscard]] CookieLook find_cookie(std::string_view head, std::string_view name);

}  // namespace pronghorn::supervisor
