// Takes new clients from one listening socket.
//
// Not uv_listen: what happens when descriptors run out, and how many clients are taken in one turn, is for us to say.
// The listening socket belongs to the supervisor; closing our copy does not close its queue.
#pragma once

#include <sys/socket.h>
#include <uv.h>

#include <functional>

#include "common/ipc/scoreboard.h"

namespace pronghorn::worker {

class Acceptor {
 public:
  // `fd` is a new client's socket, which the callee owns.
  using Accepted = std::function<void(int fd, const sockaddr_storage& address)>;

  // Watches `listener`, which stays open and is not owned. `exclusive`: the queue is shared by all workers, wake one of
  // them. Throws std::runtime_error when the loop refuses it.
  Acceptor(uv_loop_t* loop, int listener, bool exclusive, WorkerRow& row, Accepted accepted);
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;
  ~Acceptor();

  // Both may be called at any time and twice.
  void start() noexcept;
  void stop() noexcept;

  // Takes everybody who waits in the queue now.
  void empty_queue();
  // Goes on after a want of descriptors; called at each tick.
  void retry() noexcept;

 private:
  // Accepts up to `limit` clients. False when the queue is empty or accepting is not possible now.
  bool accept_some(int limit);
  void pause(int error) noexcept;

  int listener_;
  int watched_;  // the listener, or an epoll descriptor around it
  WorkerRow& row_;
  Accepted accepted_;
  uv_poll_t* poll_;
  bool active_ = false;
  bool paused_ = false;
};

}  // namespace pronghorn::worker
