#include "worker/state/redis/redis_status.h"

#include <chrono>

namespace pronghorn::worker {

void RedisStatus::set(RedisState state, std::string_view reason) noexcept {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  row_.redis_error.set(reason);
  if (row_.redis_state.load(std::memory_order_relaxed) == state && row_.redis_since_at.load() != 0) return;
  row_.redis_since_at.store(static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count()),
                            std::memory_order_relaxed);
  row_.redis_state.store(state, std::memory_order_relaxed);
}

}  // namespace pronghorn::worker
