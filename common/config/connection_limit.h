// How many connections a worker serves at a time.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pronghorn {

// A worker with so many connections accepts no more and takes none from other workers. `limit` is the option
// max_connections (0: unlimited); those above it are only answered 503.
[[nodiscard]] constexpr std::uint64_t most_connections(std::uint64_t limit) noexcept {
  return limit == 0 ? UINT64_MAX : limit + std::max<std::uint64_t>(limit / 16, 16);
}

}  // namespace pronghorn
