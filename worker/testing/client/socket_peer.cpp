#include "worker/testing/client/socket_peer.h"

#include <utility>

namespace pronghorn::worker {
namespace {

constexpr std::uint32_t kLargestMessage = 0x40000000;  // 1 GiB: whatever the application sends

}  // namespace

SocketPeer::SocketPeer(HttpContext& context, Peer peer, std::unique_ptr<pronghorn::detail::Upgrade> upgrade,
                       bool compressed)
    : reader_(memory_, {.role = WebSocketRole::client, .deflate = compressed, .max_message = kLargestMessage}),
      connection_(
          std::make_unique<SocketConnection>(context, static_cast<ConnectionOwner&>(*this), stream_, std::move(peer))) {
  stream_.report_to(*connection_);
  connection_->start(std::move(upgrade), {});
}

void SocketPeer::send(std::string_view payload, bool is_text) {
  if (close_sent_ || leaves_) return;
  is_text ? writer_.text(unsent_, payload) : writer_.binary(unsent_, payload);
}

void SocketPeer::close(std::uint16_t code, std::string_view reason) {
  if (!leaves_ && !std::exchange(close_sent_, true)) writer_.close(unsent_, code, reason);
}

void SocketPeer::abandon() noexcept {
  if (connection_ != nullptr) connection_->close();
  ended_ = true;
}

void SocketPeer::turn() {
  if (ended_) return connection_.reset();  // a turn later: its exchanges are destroyed first
  const auto can_send = [this] { return !stream_.closing() && stream_.reading(); };
  read(stream_.received());
  while (!unsent_.empty() && can_send()) stream_.send(std::exchange(unsent_, {}));
  if (stream_.fin_sent()) leaves_ = true;
  if (leaves_ && unsent_.empty() && can_send() && !std::exchange(finished_, true)) stream_.finish_sending();
  read(stream_.received());
  if (stream_.closing()) stream_.report_closed();
}

void SocketPeer::read(std::string_view bytes) {
  while (true) {
    const FrameStep step = reader_.next(bytes);
    bytes.remove_prefix(step.consumed);
    switch (step.item) {
      case FrameItem::none:
        return;
      case FrameItem::text:
      case FrameItem::binary:
        messages_.push_back({std::string(step.payload), step.item == FrameItem::text});
        break;
      case FrameItem::ping:
        if (!close_sent_) writer_.pong(unsent_, step.payload);
        break;
      case FrameItem::pong:
        break;
      case FrameItem::close:
        code_ = step.code;
        reason_ = step.payload;
        close(code_, {});
        break;
      case FrameItem::failure:
        code_ = step.code;
        reason_ = "the server has broken the protocol: " + std::string(step.payload);
        leaves_ = true;
        break;
    }
  }
}

}  // namespace pronghorn::worker
