#include "supervisor/load/dispatch_policy.h"

#include <algorithm>

namespace pronghorn::supervisor {
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

bool same_letters(std::string_view a, std::string_view lower) noexcept {
  return a.size() == lower.size() && std::ranges::equal(a, lower, [](char x, char y) {
           return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y;
         });
}

std::string cookie_in(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(';'), list.size());
    std::string_view pair = list.substr(0, end);
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=') {
      return std::string(pair.substr(name.size() + 1));
    }
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return {};
}

}  // namespace

std::size_t DispatchPolicy::choose(const std::vector<Candidate>& candidates, std::uint64_t key) {
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

CookieLook find_cookie(std::string_view head, std::string_view name) {
  CookieLook look;
  std::size_t line_start = head.find('\n');  // after the request line
  while (line_start != std::string_view::npos) {
    ++line_start;
    const std::size_t line_end = head.find('\n', line_start);
    if (line_end == std::string_view::npos) return look;
    std::string_view line = head.substr(line_start, line_end - line_start);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) {
      look.complete = true;
      return look;
    }
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && same_letters(line.substr(0, colon), "cookie")) {
      look.value = cookie_in(line.substr(colon + 1), name);
      if (!look.value.empty()) {
        look.complete = true;
        return look;
      }
    }
    line_start = line_end;
  }
  return look;
}

}  // namespace pronghorn::supervisor
