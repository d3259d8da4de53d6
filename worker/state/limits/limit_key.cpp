#include "worker/state/limits/limit_key.h"

#include <algorithm>
#include <cstdint>

#include "common/config/networks.h"
#include "worker/state/keys/key.h"

namespace pronghorn::worker {
namespace {

constexpr std::chrono::milliseconds kLongestWindow = std::chrono::hours(24 * 366);
constexpr std::size_t kMostBases = 1024;

}  // namespace

std::chrono::milliseconds window_of(const Limit& limit) {
  return std::clamp(limit.window, std::chrono::milliseconds(1), kLongestWindow);
}

const char* algorithm_name(LimitAlgorithm algorithm) noexcept {
  switch (algorithm) {
    case LimitAlgorithm::sliding_window:
      return "sliding";
    case LimitAlgorithm::token_bucket:
      return "bucket";
    case LimitAlgorithm::gcra:
      return "gcra";
    case LimitAlgorithm::concurrency:
      return "concurrent";
    case LimitAlgorithm::fixed_window:
      break;
  }
  return "fixed";
}

std::string client_key(Request& request) {
  const std::string& address = request.client().address;
  if (address.find(':') == std::string::npos) return address;
  auto ip = parse_ip_address(address);
  if (!ip || ip->bits != 128) return address;
  std::fill(ip->bytes.begin() + 8, ip->bytes.end(), std::uint8_t{0});
  return to_string(*ip) + "/64";
}

std::string who_part(std::string_view text) { return text.empty() ? "#" : bounded_key(text); }

const std::string& LimitKeys::base_of(const Limit& limit, std::string_view name) {
  if (bases_.size() >= kMostBases && !bases_.contains(&limit)) bases_.clear();
  Base& base = bases_[&limit];
  const std::chrono::milliseconds window = window_of(limit);
  if (base.text.empty() || base.name != name || base.algorithm != limit.algorithm || base.window != window) {
    base = {.name = std::string(name), .algorithm = limit.algorithm, .window = window, .text = {}};
    base.text = prefix_ + escape_key(name) + ":" + algorithm_name(limit.algorithm) + "-" +
                std::to_string(window.count()) + ":{";
  }
  return base.text;
}

}  // namespace pronghorn::worker
