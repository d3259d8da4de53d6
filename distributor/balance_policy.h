// Chooses the worker for the next client, for the balances that pass connections. No I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string_view>
#include <vector>

#include "common/config/config.h"

namespace pronghorn::distributor {

// A worker that takes connections.
struct Candidate {
  std::uint32_t slot = 0;
  std::uint64_t connections = 0;  // open, and passed but not taken yet
  std::uint64_t in_flight = 0;    // requests in flight, and connections not taken yet
  double latency_us = 0;          // mean of the last second; 0: it answered none
};

class BalancePolicy {
 public:
  // `seed` is for Balance::random.
  BalancePolicy(Balance balance, std::uint32_t seed) : balance_(balance), random_(seed) {}

  // Returns an index into `candidates`, which must be ordered by slot and not empty. For the two hash balances `key`
  // alone decides: it leads to the same slot as long as that slot has a worker, whatever happens to the others.
  [[nodiscard]] std::size_t choose(const std::vector<Candidate>& candidates, std::uint64_t key);

 private:
  Balance balance_;
  std::minstd_rand random_;
  std::uint32_t next_slot_ = 0;
};

[[nodiscard]] std::uint64_t hash_key(std::string_view bytes) noexcept;

}  // namespace pronghorn::distributor
