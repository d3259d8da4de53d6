#include "worker/state/cache/store/cache_call.h"

#include <fmt/format.h>

#include <stdexcept>

namespace pronghorn::worker {
namespace {

using std::chrono::milliseconds;

void require_time(std::string_view what, milliseconds time, milliseconds least) {
  if (time >= least && time <= kLongestCached) return;
  throw std::invalid_argument(fmt::format("cache: {} must be {} and at most 366 days, not {} ms", what,
                                          least.count() > 0 ? "above zero" : "zero or more", time.count()));
}

}  // namespace

void require_cache_text(std::string_view what, std::string_view text) {
  if (!text.empty() && text.size() <= Cache::kMaxKey) return;
  throw std::invalid_argument(fmt::format("cache: a {} has 1 to {} bytes, not {}", what, Cache::kMaxKey, text.size()));
}

void require_valid(const CacheOptions& options) {
  require_time("ttl", options.ttl, milliseconds(1));
  require_time("stale", options.stale, milliseconds(0));
  require_time("negative", options.negative, milliseconds(0));
}

}  // namespace pronghorn::worker
