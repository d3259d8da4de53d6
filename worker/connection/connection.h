// One client, whatever protocol it speaks: what the server asks of it.
#pragma once

#include <chrono>
#include <memory>
#include <string_view>

#include "pronghorn/response.h"
#include "worker/guardian/handoff/handoff.h"
#include "worker/net/byte_stream.h"
#include "worker/net/ledger/ledger_notes.h"
#include "worker/net/socket/peer.h"
#include "worker/net/timeout_lists.h"

namespace pronghorn::worker {

// Context:   loop thread.
// Ownership: its ConnectionOwner, which destroys it after ConnectionOwner::closed().
class Connection : public StreamEvents, public TimeoutEntry {
 public:
  Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  virtual ~Connection() = default;

  // What waiting() says has lasted for its timeout.
  virtual void timed_out() = 0;
  // To be called at each tick while the application works for the client: ends what has passed its deadline.
  virtual void check_deadline(std::chrono::steady_clock::time_point now) = 0;
  // The worker drains (HttpContext::draining). `close_idle`: a connection that nobody will take over ends now, if it is
  // idle.
  virtual void drain(bool close_idle) = 0;
  // Whether another worker can go on with it now: nothing is being executed, and everything was sent.
  [[nodiscard]] virtual bool can_move() const noexcept = 0;
  // Sends it to the handoff queue `queue`; it must be one that can_move(). After HandoffSent::yes call moved().
  [[nodiscard]] virtual HandoffSent hand_over(Ledger& ledger, int queue) noexcept = 0;
  // Another worker has it: closes this worker's descriptor.
  virtual void moved() noexcept = 0;
  [[nodiscard]] virtual LedgerNotes& notes() noexcept = 0;
  // Closes the connection unconditionally, and tells its client nothing.
  virtual void close() noexcept = 0;
};

class ConnectionOwner {
 public:
  // The connection has ended. The owner destroys it, during the call or later.
  virtual void closed(Connection& connection) noexcept = 0;
  // The connection has sent a response that changes its protocol. The owner replaces it at the end of the turn.
  virtual void upgraded() = 0;
  // A stream within the connection has sent a response that changes its protocol: begins to serve that on `stream`,
  // which is used as long as the connection that is returned, and told of its end in `owner`. Null: it is not served.
  [[nodiscard]] virtual std::unique_ptr<Connection> begin_within(ConnectionOwner& /*owner*/, ByteStream& /*stream*/,
                                                                 const Peer& /*peer*/,
                                                                 std::unique_ptr<detail::Upgrade> /*to*/) {
    return nullptr;
  }

 protected:
  ~ConnectionOwner() = default;
};

}  // namespace pronghorn::worker
