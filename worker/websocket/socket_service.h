// The WebSockets of one worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "pronghorn/websocket.h"
#include "pronghorn/worker.h"
#include "worker/state/events/topics/topic_member.h"
#include "worker/websocket/protocol/frame_reader.h"
#include "worker/websocket/protocol/frame_writer.h"
#include "worker/websocket/route/socket_route.h"
#include "worker/websocket/socket.h"

namespace pronghorn::detail {
// What the public headers know of worker::SocketService.
class SocketService {
 public:
  SocketService(const SocketService&) = delete;
  SocketService& operator=(const SocketService&) = delete;

 protected:
  SocketService() = default;
  ~SocketService() = default;
};
}  // namespace pronghorn::detail

namespace pronghorn::worker {

struct StateServices;

// Knows the routes and the sockets, and has what all sockets share: buffers for frames, the last event as a frame, and
// the topic through which sockets of other workers are reached.
//
// Context:   loop thread; one per worker, and per TestClient.
// Ownership: must outlive all sockets, and be destroyed before `state` and `worker`.
class SocketService final : public pronghorn::detail::SocketService {
 public:
  // `state` is null with --redis none: there are no topics then.
  SocketService(WorkerRow& row, StateServices* state, pronghorn::Worker& worker);
  ~SocketService();

  // All routes must be added before there is a socket. `entry` and `path` must outlive it. `index` is that in
  // WorkerRow::routes.
  void add_route(const detail::SocketEntry& entry, std::string_view path, std::uint32_t index,
                 std::chrono::milliseconds deadline);
  // The one that was added with `entry`.
  [[nodiscard]] SocketRoute& route(const detail::SocketEntry& entry) noexcept;

  // A socket that another worker had, from its state. Null if the state is not one, or this version of the application
  // has no such route.
  [[nodiscard]] std::unique_ptr<Socket> take_up(std::string_view state, const Request::Client& client);
  // A socket that belongs to no route: it can only be closed.
  [[nodiscard]] std::unique_ptr<Socket> stranger(const Request::Client& client);
  // The handler `open` has run, but the handshake could not be answered: runs the close handler.
  void abandon(std::unique_ptr<Socket> socket) noexcept;

  // The connections, in no order.
  void enlist(SocketConnection& connection);
  void delist(SocketConnection& connection) noexcept;
  [[nodiscard]] const std::unordered_map<std::string_view, SocketConnection*>& connections() const noexcept {
    return connections_;
  }

  // Bytes that wait for the clients of all sockets. Above kMostQueued there is no memory for clients that do not read:
  // from then until half of it is free, kRoom takes the place of a larger max_queue().
  static constexpr std::uint64_t kMostQueued = 128 * 1024 * 1024;
  void count_queued(std::uint64_t before, std::uint64_t now) noexcept;
  [[nodiscard]] bool is_full() const noexcept { return full_; }

  [[nodiscard]] FrameMemory& memory() noexcept { return memory_; }
  [[nodiscard]] FrameWriter& writer() noexcept { return writer_; }
  [[nodiscard]] std::string& scratch() noexcept { return scratch_; }  // for whoever needs a text for a moment
  [[nodiscard]] pronghorn::Worker& worker() const noexcept { return worker_; }
  [[nodiscard]] WorkerRow& row() const noexcept { return row_; }

  // --- Topics -------------------------------------------------------------------------------------------------------

  // Throws std::logic_error with --redis none; `call` names what needs it.
  void require_redis(const char* call) const;
  void join(SocketTopic& topic, std::string_view name, const Bookmark& from);
  // See PresenceService.
  void join_presence(std::string_view topic, std::string_view id, std::string_view member);
  void leave_presence(std::string_view topic, std::string_view id);
  void release_presence(std::string_view topic, std::string_view id);
  // The event as a frame for a socket of this route, made once for all of them. Empty: they get nothing. Valid until the
  // next call.
  [[nodiscard]] std::string_view frame_of(SocketRoute& route, const std::string& topic, const EventPtr& event,
                                          const SocketRecord& socket);
  // The message that tells a client of missed events; empty: none.
  [[nodiscard]] std::string gap_message(const SocketRoute& route, const std::string& topic);

  // --- Sockets ------------------------------------------------------------------------------------------------------

  // See Sockets.
  [[nodiscard]] Task<void> send(std::string id, std::string text);
  [[nodiscard]] Task<void> close(std::string id, std::uint16_t code, std::string reason);

 private:
  // What other workers send to sockets of this one.
  class Direct final : public TopicMember {
   public:
    explicit Direct(SocketService& service) noexcept : service_(service) {}

   private:
    void event(const EventPtr& event) override;
    void gap(Gap) override {}
    SocketService& service_;
  };

  [[nodiscard]] Task<void> pass_on(std::string id, std::string order);
  [[nodiscard]] bool carry_out(std::string_view id, std::string_view order);
  [[nodiscard]] std::string message_of(const SocketRoute& route, Event event);

  WorkerRow& row_;
  StateServices* state_;
  pronghorn::Worker& worker_;
  FrameMemory memory_;
  FrameWriter writer_;
  std::string scratch_;
  std::deque<SocketRoute> routes_;
  detail::SocketEntry no_entry_;
  SocketRow no_row_{};
  SocketRoute no_route_;
  std::unordered_map<std::string_view, SocketConnection*> connections_;  // by the ids of their sockets
  std::uint64_t queued_ = 0;
  bool full_ = false;
  Direct direct_{*this};
};

}  // namespace pronghorn::worker
