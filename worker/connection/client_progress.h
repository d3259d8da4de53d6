// Whether a client that is being sent something still reads.
#pragma once

#include <cstdint>
#include <utility>

#include "worker/net/byte_stream.h"
#include "worker/net/timeout_lists.h"

namespace pronghorn::worker {

// Looks at what the client has acknowledged. Whether the kernel takes bytes says nothing about the client: its buffer
// may hold data that a slow client needs minutes to receive.
//
// Context: loop thread; one per connection.
class ClientProgress {
 public:
  // A wait for the client begins.
  void restart() noexcept {
    acknowledged_ = kUnknown;
    silent_ticks_ = 0;
  }
  [[nodiscard]] bool unknown() const noexcept { return acknowledged_ == kUnknown; }
  // Looks, so that the next call of progressed() compares with now.
  void look(const ByteStream& stream) noexcept { acknowledged_ = stream.acknowledged(); }
  // Whether the client has acknowledged anything since the last look.
  [[nodiscard]] bool progressed(const ByteStream& stream) noexcept {
    const std::uint64_t acknowledged = stream.acknowledged();
    return std::exchange(acknowledged_, acknowledged) != acknowledged;
  }
  // To be asked when a wait for the client has lasted for its timeout of `waited` ticks: whether it may still be
  // reading.
  [[nodiscard]] bool reads(const ByteStream& stream, std::uint64_t waited) noexcept;

 private:
  static constexpr std::uint64_t kUnknown = UINT64_MAX;
  std::uint64_t acknowledged_ = 0;
  std::uint32_t silent_ticks_ = 0;  // for how long it has been the same
};

}  // namespace pronghorn::worker
