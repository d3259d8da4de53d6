// The slot of a key in a Redis Cluster.
#pragma once

#include <cstdint>
#include <string_view>

namespace pronghorn::worker {

inline constexpr std::size_t kSlots = 16'384;

// CRC16 of the key modulo 16384. If the key contains "{…}" with at least one byte in between, only what is between the
// first '{' and the first '}' behind it counts: the hash tag, which keeps keys together.
[[nodiscard]] std::uint16_t key_slot(std::string_view key) noexcept;

}  // namespace pronghorn::worker
