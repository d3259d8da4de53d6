#include "worker/state/limits/shadow.h"

#include "common/log.h"

namespace pronghorn::worker {

void ShadowLog::refused(std::string_view limit, std::uint64_t now_ms) {
  Line& line = lines_[std::string(limit)];
  ++line.requests;
  if (line.logged_ms != 0 && now_ms < line.logged_ms + kIntervalMs) return;
  log_warning("a rate limit in shadow mode would have refused requests",
              {{"limit", limit}, {"requests", line.requests}});
  line = {.logged_ms = now_ms, .requests = 0};
}

}  // namespace pronghorn::worker
