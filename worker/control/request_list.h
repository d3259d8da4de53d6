// The requests that this worker has in flight, for `pronghorn requests`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "worker/exchange/exchange_pool.h"

namespace pronghorn::worker {

inline constexpr std::size_t kMaxListedRequests = 200;  // per worker

// One JSON object per request: slot, request ("GET /orders"), route, client, id, age_ms, state ("receiving" its body,
// "waiting" in its handler, "sending" its response). Loop thread.
[[nodiscard]] std::vector<std::string> list_requests(const ExchangePool& exchanges, std::uint32_t slot);

}  // namespace pronghorn::worker
