#include "supervisor/shutdown.h"

#include <fmt/format.h>

#include <utility>

#include "common/log.h"
#include "supervisor/crash/exit_facts.h"

namespace pronghorn::supervisor {
namespace {

constexpr std::uint64_t kStackLimitMs = 3'000;      // for function names, when everything else has ended
constexpr std::uint64_t kGuardiansLimitMs = 5'000;  // for guardians to hand over what nobody takes
constexpr Milliseconds kRedisLimitNow{1'000};

}  // namespace

bool Shutdown::advance(Mode mode) {
  if (closing_redis_) return false;
  // Nobody accepts any more: clients are refused from now on, not left waiting.
  if (parts_.distributes && parts_.workers.slots().current(kDistributorSlot) == nullptr) parts_.close_listeners();
  if (parts_.workers.count_without_admin() > 0) return false;
  parts_.close_listeners();
  if (guardians_work(mode)) return true;
  if (parts_.workers.slots().current(kAdminSlot) != nullptr) {
    parts_.workers.stop_admin();
    return false;
  }
  const std::size_t redis = parts_.redis && parts_.redis->pid() != 0 ? 1 : 0;
  if (parts_.children.count() > redis) {  // a cancelled check, or the symbolizer
    if (alone_for_ms() > kStackLimitMs) parts_.symbolizer.cancel();
    return false;
  }
  if (unclaimed_ += parts_.handoff.close_waiting(); unclaimed_ != 0) {
    log_warning(fmt::format("closed {} of workers that were killed while the server stopped: no worker was left",
                            counted(unclaimed_, "connection")));
  }
  end_redis(mode);
  return false;
}

void Shutdown::hurry() noexcept {
  if (closing_redis_ && parts_.redis) parts_.redis->kill();
}

// Guardians of workers that were killed hand connections over that nobody is left for. Closes these; true while there may
// be more.
bool Shutdown::guardians_work(Mode mode) {
  unclaimed_ += parts_.handoff.close_waiting();
  Guardians& guardians = parts_.workers.guardians();
  if (guardians.count() == 0) return false;
  if (alone_for_ms() < kGuardiansLimitMs && mode == Mode::in_order) return true;
  guardians.kill_all();
  return false;
}

std::uint64_t Shutdown::alone_for_ms() {
  const std::uint64_t now = monotonic_ms();
  if (alone_since_ms_ == 0) alone_since_ms_ = now;
  return now - alone_since_ms_;
}

void Shutdown::end_redis(Mode mode) {
  closing_redis_ = true;
  const auto stopped = [this] {
    log_info("stopped");
    uv_stop(parts_.loop);
  };
  if (!parts_.redis) return stopped();
  parts_.redis->stop(stopped, mode == Mode::now ? kRedisLimitNow : EmbeddedRedis::kStopLimit);
}

}  // namespace pronghorn::supervisor
