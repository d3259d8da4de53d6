#include "worker/connection/client_progress.h"

#include <algorithm>

namespace pronghorn::worker {
namespace {

// How long a client may need for what it has acknowledged. The kernel of a slow one acknowledges megabytes ahead, and
// then nothing before half of its buffer is free again.
std::uint64_t reading_time_ms(std::uint64_t acknowledged) noexcept {
  constexpr std::uint64_t kSmallBuffer = 1024 * 1024;  // which a client that reads nothing may fill
  constexpr std::uint64_t kSlowReader = 64 * 1024;     // bytes per second
  constexpr std::uint64_t kLongestMs = 120'000;
  if (acknowledged <= kSmallBuffer) return 0;
  return std::min((acknowledged - kSmallBuffer) / kSlowReader * 1000, kLongestMs);
}

}  // namespace

bool ClientProgress::reads(const ByteStream& stream, std::uint64_t waited) noexcept {
  if (progressed(stream)) {
    silent_ticks_ = 0;
    return true;
  }
  silent_ticks_ += static_cast<std::uint32_t>(waited);
  return silent_ticks_ * kTickMs <= reading_time_ms(acknowledged_);
}

}  // namespace pronghorn::worker
