// The handshake of a WebSocket, as a handler of its route.
#pragma once

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "pronghorn/response.h"
#include "pronghorn/task.h"
#include "worker/connection/protocol_upgrade.h"
#include "worker/websocket/route/socket_entry.h"
#include "worker/websocket/socket.h"

namespace pronghorn::worker {

// The socket that a response with status 101 carries. If the response is not sent, the socket ends.
class SocketUpgrade final : public ProtocolUpgrade {
 public:
  explicit SocketUpgrade(std::unique_ptr<Socket> socket) noexcept : socket_(std::move(socket)) {}
  ~SocketUpgrade() override;

  [[nodiscard]] Socket& socket() const noexcept { return *socket_; }
  void begin() override { socket_->answer(); }
  [[nodiscard]] std::string_view first_bytes() const noexcept override { return socket_->answered(); }
  [[nodiscard]] std::string_view state() override { return socket_->state(); }
  [[nodiscard]] std::vector<LedgerMark> marks() const override { return socket_->marks(); }
  [[nodiscard]] std::unique_ptr<Socket> take() noexcept { return std::move(socket_); }

 private:
  std::unique_ptr<Socket> socket_;
};

// Answers the request: runs the handler `open`, then 101, or a refusal (426, 400, 403). Throws what `open` throws. Both
// arguments must outlive the task.
[[nodiscard]] Task<Response> upgrade_to_websocket(Request& request, const detail::SocketEntry& entry);

}  // namespace pronghorn::worker
