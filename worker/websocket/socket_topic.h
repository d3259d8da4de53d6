// A socket's place in one topic.
#pragma once

#include <cstddef>

#include "worker/net/ledger/ledger.h"
#include "worker/state/events/topics/topic_member.h"

namespace pronghorn::worker {

class Socket;

// Context:   loop thread.
// Ownership: the socket.
class SocketTopic final : public TopicMember {
 public:
  explicit SocketTopic(Socket& socket) noexcept : socket_(socket) {}

  // Whether events have been given to the connection that were not written yet: the ledger learns of them then.
  [[nodiscard]] bool unwritten() const noexcept { return unwritten_; }
  void written() noexcept { unwritten_ = false; }
  // For the ledger. It has a value of its own for a place that is not known yet.
  [[nodiscard]] LedgerMark mark() const noexcept;

 private:
  void event(const EventPtr& event) override;
  void gap(Gap gap) override;
  void began(const Position& position) override;
  [[nodiscard]] bool wants() noexcept override;

  Socket& socket_;
  bool unwritten_ = false;
};

}  // namespace pronghorn::worker
