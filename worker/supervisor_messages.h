// What a worker does with the messages of its supervisor (common/ipc/channel.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "common/ipc/channel.h"
#include "worker/control/quarantine_keeper.h"
#include "worker/passed_connections.h"
#include "worker/server/http_server.h"
#include "worker/slot_listeners.h"
#include "worker/state/state_services.h"
#include "worker/websocket/socket_service.h"

namespace pronghorn::worker {

// Context: loop thread of a worker; one per worker. Must not outlive what it refers to.
class SupervisorMessages {
 public:
  // The worker's parts. While it starts they are made one after the other, so any may be absent when a message comes:
  // it then does nothing, and a descriptor that came with it is closed.
  struct Parts {
    unsigned slot;
    std::optional<Channel>& channel;
    std::optional<StateServices>& state;
    std::optional<SocketService>& sockets;
    std::optional<QuarantineKeeper>& quarantine;
    std::optional<HttpServer>& http;
    std::optional<SlotListeners>& listeners;
    std::optional<PassedConnections>& passed;
  };
  struct Callbacks {
    std::function<void(std::chrono::milliseconds delay)> drain;
    std::function<void()> stop;  // at once
  };
  SupervisorMessages(const Parts& parts, Callbacks callbacks);

  // Owns `fd`, the descriptor that came with the message; -1: none.
  void received(const ChannelMessage& message, int fd);

 private:
  void use_relay(const ChannelMessage& message, int fd);
  void answer_requests(std::uint64_t query);

  Parts parts_;
  Callbacks callbacks_;
};

}  // namespace pronghorn::worker
