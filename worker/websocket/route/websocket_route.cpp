// The options of a route of WebSockets.
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "pronghorn/websocket.h"
#include "worker/fields/characters.h"
#include "worker/fields/origin.h"
#include "worker/websocket/protocol/frame.h"
#include "worker/websocket/route/socket_entry.h"

namespace pronghorn {

WebSocketRoute WebSocketRoute::origin(std::string_view origin) {
  if (origin == "*") {
    entry_->any_origin = true;
  } else if (origin == "null" || !worker::is_origin(origin)) {
    throw std::invalid_argument(
        fmt::format("origin(\"{}\"): an origin is like \"https://shop.example\" or \"http://localhost:5173\"", origin));
  } else {
    entry_->origins.emplace_back(origin);
  }
  return *this;
}

WebSocketRoute WebSocketRoute::subprotocol(std::string_view name) {
  if (!worker::is_token(name)) {
    throw std::invalid_argument(fmt::format("subprotocol(\"{}\"): the name is not a token (RFC 9110)", name));
  }
  if (std::ranges::find(entry_->subprotocols, name) == entry_->subprotocols.end()) {
    entry_->subprotocols.emplace_back(name);
  }
  return *this;
}

WebSocketRoute WebSocketRoute::max_message(std::size_t bytes) {
  constexpr std::size_t kLargest = std::size_t{1024} * 1024 * 1024;
  if (bytes < worker::kMaxControlPayload || bytes > kLargest) {
    throw std::invalid_argument(
        fmt::format("max_message({}): from {} to {} bytes", bytes, worker::kMaxControlPayload, kLargest));
  }
  entry_->max_message = bytes;
  return *this;
}

WebSocketRoute WebSocketRoute::max_rate(std::uint32_t per_second) {
  entry_->max_rate = per_second;
  return *this;
}

WebSocketRoute WebSocketRoute::max_queue(std::size_t bytes, SlowSocket slow) {
  constexpr std::size_t kSmallest = std::size_t{64} * 1024;
  if (bytes < kSmallest) throw std::invalid_argument(fmt::format("max_queue({}): at least {} bytes", bytes, kSmallest));
  entry_->max_queue = bytes;
  entry_->slow = slow;
  return *this;
}

WebSocketRoute WebSocketRoute::compress(bool on) {
  entry_->compress = on;
  return *this;
}

}  // namespace pronghorn
