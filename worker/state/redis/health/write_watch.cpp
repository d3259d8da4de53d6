#include "worker/state/redis/health/write_watch.h"

#include <uv.h>

#include "common/log.h"

namespace pronghorn::worker {

void WriteWatch::tried(std::string_view error) {
  const std::uint64_t now_ms = uv_hrtime() / 1'000'000;
  if (!error.empty()) {
    accepted_ = 0;
    if (!refused()) {
      since_ms_ = now_ms;
      log_warning("Redis refuses writes", {{"address", address_}, {"reason", error}});
    }
    reason_ = error;
    return;
  }
  if (!refused() || ++accepted_ < kTrialsToTrust) return;
  reason_.clear();
  log_info("Redis accepts writes again", {{"address", address_}, {"refused_ms", now_ms - since_ms_}});
}

}  // namespace pronghorn::worker
