// One WebSocket apart from its connection: what the application sees of it, and what moves to another worker with it.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pronghorn/websocket.h"
#include "worker/net/ledger/ledger.h"
#include "worker/websocket/protocol/deflate.h"
#include "worker/websocket/route/socket_route.h"
#include "worker/websocket/socket_record.h"
#include "worker/websocket/socket_topic.h"

namespace pronghorn::detail {
// What the public header knows of worker::Socket.
class SocketState {
 public:
  SocketState(const SocketState&) = delete;
  SocketState& operator=(const SocketState&) = delete;

 protected:
  SocketState() = default;
  ~SocketState() = default;
};
}  // namespace pronghorn::detail

namespace pronghorn::worker {

class SocketConnection;
class SocketService;

// Throws std::invalid_argument unless an application may close with this: see WebSocket::close().
void require_close(std::uint16_t code, std::string_view reason);

// Has no connection until the handshake is answered: what the handler `open` sends waits for that, and so does what its
// topics publish from begin_topics() on.
//
// Context:   loop thread.
// Ownership: the response to the handshake, then the connection.
class Socket final : public pronghorn::detail::SocketState {
 public:
  // A new one, or one that another worker had. `service` and `route` must outlive it.
  Socket(SocketService& service, SocketRoute& route, Request::Client client, SocketRecord record);
  ~Socket();

  [[nodiscard]] WebSocket& handle() noexcept { return handle_; }
  [[nodiscard]] SocketRoute& route() const noexcept { return route_; }
  [[nodiscard]] SocketService& service() const noexcept { return service_; }
  [[nodiscard]] const SocketRecord& record() const noexcept { return record_; }
  [[nodiscard]] const Request::Client& client() const noexcept { return client_; }
  [[nodiscard]] const std::vector<std::string>& topics() const noexcept { return names_; }
  [[nodiscard]] SocketConnection* connection() const noexcept { return connection_; }

  // See WebSocket.
  void attach(std::string bytes);
  void send(std::string_view payload, bool is_text);
  void subscribe(std::string_view topic, const SubscribeOptions& options);
  void unsubscribe(std::string_view topic);
  [[nodiscard]] std::uint32_t history_of(std::string_view topic) const noexcept;
  void close(std::uint16_t code, std::string_view reason);
  [[nodiscard]] Task<Published> publish(std::string topic, std::string_view payload, PublishOptions options);
  [[nodiscard]] bool closing() const noexcept;

  // For SocketRoom. `open` never waits: what it sends is written when it has ended.
  [[nodiscard]] bool has_room() const noexcept;
  void wait_for_room(SocketRoom& waiting) { waiting_.push_back(&waiting); }
  void forget(SocketRoom& waiting) noexcept { std::erase(waiting_, &waiting); }

  // --- For the connection -------------------------------------------------------------------------------------------

  // `open` has ended: begins with the topics.
  void begin_topics();
  // Resumes `waiting` once, when knows_places() is true. Null: nothing any more.
  void wait_for_topics(std::coroutine_handle<> waiting) noexcept { early_->waits_for_topics = waiting; }

  // The handshake is about to be answered: what waits until now is answered(), and written with the answer.
  void answer();
  [[nodiscard]] std::string_view answered() const noexcept { return early_->answered; }

  // The handshake was answered, or the socket was taken up with its `marks`: sends what has waited, and begins with the
  // topics if that was not done.
  void connect(SocketConnection& connection, std::span<const LedgerMark> marks);
  // It has ended (`moves`: for this worker only): no events arrive any more, and who waits for room goes on.
  void disconnect(bool moves) noexcept;
  // Whether a handler or a topic's history waits for room.
  [[nodiscard]] bool waits_for_room() const noexcept;
  // Resumes who waits for room, if there is room.
  void resume_waiting();
  // The handler of this message begins (0: it has ended).
  void handles(std::uint64_t message) noexcept {
    message_ = message;
    publications_ = 0;
  }
  // The close frame that was sent has this code; the state says so.
  void sent_close(std::uint16_t code);
  // Whether state() has changed since the last call of this.
  [[nodiscard]] bool take_changed() noexcept { return std::exchange(changed_, false); }
  // For the ledger. The view is valid until the next call for any socket.
  [[nodiscard]] std::string_view state();
  // Whether the place in each topic is known: see SocketTopic::mark().
  [[nodiscard]] bool knows_places() const noexcept;
  // The places in the topics, in the order of topics().
  [[nodiscard]] std::vector<LedgerMark> marks() const;
  // Calls `visit(index, topic)` for the topics with events that were not written yet.
  template <class Visit>
  void for_each_unwritten(Visit visit) {
    for (std::size_t i = 0; i < topics_.size(); ++i) {
      if (topics_[i]->unwritten()) visit(i, *topics_[i]);
    }
  }
  // For SocketTopic.
  void deliver(const std::string& topic, const EventPtr& event);
  void deliver_gap(const std::string& topic);
  void topic_began();
  [[nodiscard]] bool takes_events() const noexcept;  // of the past

 private:
  // What waits for the connection.
  struct Early {
    std::string frames;
    std::string answered;  // frames that are written with the handshake's answer
    std::coroutine_handle<> waits_for_topics;
    std::uint16_t close_code = 0;
    std::string close_reason;
  };
  [[nodiscard]] std::size_t find(std::string_view topic) const noexcept;
  void begin_topic(std::size_t index, const Bookmark& from);
  void join_presence(std::size_t index);

  SocketService& service_;
  SocketRoute& route_;
  Request::Client client_;
  SocketRecord record_;
  WebSocket handle_{*this};
  SocketConnection* connection_ = nullptr;
  std::vector<std::string> names_;                    // of the topics
  std::vector<std::unique_ptr<SocketTopic>> topics_;  // in the same order
  std::vector<SocketRoom*> waiting_;
  std::unique_ptr<Early> early_ = std::make_unique<Early>();
  std::uint64_t message_ = 0;       // that is being handled; 0: none
  std::uint16_t publications_ = 0;  // of its handler
  bool changed_ = false;
  bool ended_ = false;
};

}  // namespace pronghorn::worker
