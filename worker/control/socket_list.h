// The WebSockets of this worker that an operator looks at first, for `pronghorn requests`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "worker/websocket/socket_service.h"

namespace pronghorn::worker {

inline constexpr std::size_t kListedSockets = 10;  // of the oldest, and of those with the most queued bytes

// The oldest sockets and those whose clients owe the most bytes, each once: a JSON object with slot, state ("socket"),
// request ("WEBSOCKET /rooms/{room}"), route, client, id, age_ms (since the handshake, also on other workers),
// queued_bytes, topics (the first names, about 1,000 bytes) and topic_count. Takes time in proportion to the number of
// sockets. Loop thread.
[[nodiscard]] std::vector<std::string> list_sockets(const SocketService& sockets, std::uint32_t slot);

}  // namespace pronghorn::worker
