// A route of WebSockets, made ready to serve.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/ipc/scoreboard.h"
#include "worker/state/events/messages/event_message.h"
#include "worker/websocket/route/socket_entry.h"

namespace pronghorn::worker {

// An event as the sockets of a route get it.
struct FramedEvent {
  EventPtr event;       // the one that the rest was made of
  bool own = false;     // whether the route's own message stands for the payload
  std::string message;  // that message; empty: the sockets get nothing
  std::string plain;    // its frame; empty: not made yet
  std::string compressed;
  std::uint8_t compressed_bits = 0;  // the window of `compressed`; 0: not made yet
};

// Context: loop thread; one per worker and route. `entry` and the texts must outlive it.
struct SocketRoute {
  const detail::SocketEntry& entry;
  std::string_view path;
  std::uint32_t index;                 // in WorkerRow::routes
  std::chrono::milliseconds deadline;  // of each message; 0: none
  SocketRow& row;
  FramedEvent framed = {};  // the last event: all sockets of the route get it one after the other
};

}  // namespace pronghorn::worker
