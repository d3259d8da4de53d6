// Takes connections of other workers from the handoff queue.
#pragma once

#include <uv.h>

#include <functional>

#include "common/uv_ptr.h"
#include "worker/guardian/handoff/handoff.h"

namespace pronghorn::worker {

// Context: loop thread. All ready workers take from one queue; who is first has the connection.
class HandoffTaker {
 public:
  // The callee owns the descriptors of the connection and of the file that it is sent. What came as a file of messages
  // is among the unanswered bytes, what a WebSocket is owed among the unsent ones: it has no file. It must note the connection in the ledger and say done() to the inbox, in this
  // order.
  using Taken = std::function<void(const HandoffInbox::Taken&)>;

  // Does not take before start(). `inbox` must outlive this; `queue` is not owned. Throws std::runtime_error if the
  // loop cannot watch it.
  HandoffTaker(uv_loop_t* loop, HandoffInbox& inbox, int queue, Taken taken);
  HandoffTaker(const HandoffTaker&) = delete;
  HandoffTaker& operator=(const HandoffTaker&) = delete;
  ~HandoffTaker();

  // Both may be called at any time, also twice. Call start() at each tick too: taking stops while descriptors have run
  // out, because a connection that arrives then would be lost.
  void start() noexcept;
  void stop() noexcept;
  // Takes what is in the queue now, if started.
  void take_waiting();

 private:
  HandoffInbox& inbox_;
  int queue_;
  Taken taken_;
  UvPtr<uv_poll_t> poll_;
};

}  // namespace pronghorn::worker
