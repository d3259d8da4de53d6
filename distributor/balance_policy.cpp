#include "distributor/balance_policy.h"

#include <algorithm>

namespace pronghorn::distributor {
namespace {

// The candidate with the smallest measure; of equals, the first from `next_slot` on, so that ties take turns.
template <class Measure>
std::size_t least(const std::vector<Candidate>& candidates, std::uint32_t next_slot, Measure measure) {
  std::size_t start = 0;
  while (start < candidates.size() && candidates[start].slot < next_slot) ++start;
  std::size_t best = start % candidates.size();
  for (std::size_t step = 1; step < candidates.size(); ++step) {
    const std::size_t index = (start + step) % candidates.size();
    if (measure(candidates[index]) < measure(candidates[best])) best = index;
  }
  return best;
}

std::uint64_t mix(std::uint64_t value) noexcept {  // the finaliser of splitmix64
  value ^= value >> 30;
  value *= 0xbf58476d1ce4e5b9ULL;
  value ^= value >> 27;
  value *= 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

}  // namespace

std::size_t BalancePolicy::choose(const std::vector<Candidate>& candidates, std::uint64_t key) {
  std::size_t chosen = 0;
  switch (balance_) {
    case Balance::least_connections:
      chosen = least(candidates, next_slot_, [](const Candidate& c) { return c.connections; });
      break;
    case Balance::least_response_time:
      // How long a new request would wait: for those before it, at the pace of the last second.
      chosen = least(candidates, next_slot_,
                     [](const Candidate& c) { return (c.latency_us + 1.0) * static_cast<double>(c.in_flight + 1); });
      break;
    case Balance::random:
      return random_() % candidates.size();
    case Balance::ip_hash:
    case Balance::cookie_hash:
      // Rendezvous hashing: a worker that comes or goes moves only its own share of the clients.
      return least(candidates, 0,
                   [key](const Candidate& c) { return mix(key + 0x9e3779b97f4a7c15ULL * (c.slot + 1)); });
    default:
      chosen = least(candidates, next_slot_, [](const Candidate&) { return 0; });
  }
  next_slot_ = candidates[chosen].slot + 1;
  return chosen;
}

std::uint64_t hash_key(std::string_view bytes) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3ULL;
  return mix(hash);
}

}  // namespace pronghorn::distributor
