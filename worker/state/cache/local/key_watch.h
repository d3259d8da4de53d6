// One server that tells a worker of changes: CLIENT TRACKING (OPTIN) makes it tell a subscriber connection when a key
// changes that the command connection has read for a copy.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "pronghorn/redis.h"
#include "worker/state/cache/local/local_copies.h"
#include "worker/state/redis/subscriptions/subscriber.h"

namespace pronghorn::worker {

// When one of the two connections breaks, the copies that it watched over are dropped: changes may have been missed.
//
// Context: loop thread. Must not be destroyed from within a call of its subscriber.
class KeyWatch final : private Subscriber::Listener {
 public:
  // `told` receives what the server tells, and is closed by its owner.
  KeyWatch(LocalCopies& copies, Subscriber& told);
  // Of a node, over a connection of its own.
  KeyWatch(LocalCopies& copies, std::unique_ptr<Subscriber> told);
  KeyWatch(const KeyWatch&) = delete;
  KeyWatch& operator=(const KeyWatch&) = delete;
  ~KeyWatch() { end(); }

  // The subscriber connection, for REDIRECT; 0 if it is not there.
  [[nodiscard]] std::int64_t told_to() const noexcept { return subscription_.active() ? told_.client_id() : 0; }
  // The command connection that is watched; 0: none.
  [[nodiscard]] std::uint64_t connection() const noexcept { return connection_; }
  void begin(std::uint64_t connection) noexcept { connection_ = connection; }
  // Drops what it watched over. Does nothing if it watches nothing.
  void end();

 private:
  // Subscriber::Listener
  void message(std::string_view channel, const Reply& payload) override;
  void interrupted(std::string_view) override { end(); }

  LocalCopies& copies_;
  std::unique_ptr<Subscriber> own_;
  Subscriber& told_;
  Subscription subscription_;
  std::uint64_t connection_ = 0;
};

}  // namespace pronghorn::worker
