// Accepts clients from one listening socket.
#pragma once

#include <sys/socket.h>
#include <uv.h>

#include <cstddef>
#include <functional>

#include "common/ipc/scoreboard.h"
#include "common/uv_ptr.h"
#include "worker/net/accept/accept_pauses.h"

namespace pronghorn::worker {

// Whether the Unix socket `fresh` has the name of `old`, whose file is gone then, and nobody waits in the queue of `old`:
// nobody will any more. Also true of two descriptors for one socket with an empty queue.
[[nodiscard]] bool is_replaced(int old, int fresh) noexcept;

// Not uv_listen(): this class decides what happens when descriptors run out, and how many clients are accepted in one
// turn of the loop. The listening socket belongs to the supervisor; closing the worker's copy does not close its queue.
//
// Context: loop thread.
class Acceptor {
 public:
  static constexpr int kAcceptsPerTurn = 64;   // then clients that are connected have their turn …
  static constexpr std::uint64_t kTurnMs = 5;  // … or when the turn has taken this long
  // `fd` is a new client's non-blocking socket, which the callee owns.
  using Accepted = std::function<void(int fd, const sockaddr_storage& address)>;

  // Watches `listener`, which stays open and is not owned. `exclusive`: all workers share the queue, and a client wakes
  // one of them. Throws std::runtime_error if the loop cannot watch it. `row` and `pauses` must outlive this.
  Acceptor(uv_loop_t* loop, int listener, bool exclusive, WorkerRow& row, AcceptPauses& pauses, Accepted accepted);
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;
  ~Acceptor();

  [[nodiscard]] int listener() const noexcept { return listener_; }
  // Both may be called at any time, also twice.
  void start() noexcept;
  void stop() noexcept;

  // How many clients wait to be accepted by this worker alone. 0 if the kernel does not tell (Unix sockets), or if other
  // workers share the queue. A system call.
  [[nodiscard]] std::size_t waiting() const noexcept;
  // Accepts the clients that wait in the queue now, not those who connect meanwhile: these may never end.
  void empty_queue();
  // Accepts again after descriptors or memory ran out. Call it at each tick.
  void retry() noexcept;

 private:
  // What one turn of the loop accepts. A client's request is usually executed before the next client is accepted, and
  // more clients may have come by then: those that are connected would wait for all of them.
  void accept_in_turn();
  // Accepts up to `limit` clients. False when the queue is empty or accepting is not possible now.
  bool accept_some(int limit);
  void pause(int error) noexcept;

  int listener_;
  int watched_;  // the listener, or an epoll descriptor around it
  WorkerRow& row_;
  AcceptPauses& pauses_;
  Accepted accepted_;
  UvPtr<uv_poll_t> poll_;
  bool active_ = false;
  bool paused_ = false;
};

}  // namespace pronghorn::worker
