// What app.websocket() was given, and the options of its route.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "pronghorn/websocket.h"

namespace pronghorn::detail {

// Context: filled while the setup function runs, read-only afterwards.
struct SocketEntry {
  WebSocketHandlers handlers = {};
  std::vector<std::string> origins = {};  // beside the server's own host
  bool any_origin = false;
  std::vector<std::string> subprotocols = {};  // the preferred one first
  std::size_t max_message = std::size_t{1024} * 1024;
  std::uint32_t max_rate = 0;  // messages per second; 0: no limit
  std::size_t max_queue = std::size_t{1024} * 1024;
  SlowSocket slow = SlowSocket::close;
  bool compress = true;
};

}  // namespace pronghorn::detail
