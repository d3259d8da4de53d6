// The relay: one worker of a machine receives what is published in topics, and passes it to those workers that read them.
//
// So a message crosses Redis once per machine. The supervisor appoints a worker (supervisor/workers/topic_relay.h) and
// links every other worker with it by a socket pair, over which that subscribes (RelayLink) and gets messages, each
// encoded once. Every worker has a Relay; one that was not appointed has no peers and no subscriptions.
//
// A worker that reads too slowly does not hold up others: what waits for it is dropped once it exceeds kMaxQueued, and
// it is told that its subscriptions are lost. It subscribes again, and reads the histories of its topics, as after an
// interruption of the connection to Redis. That interruption is passed on in the same way.
#pragma once

#include <uv.h>

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "worker/state/redis/subscriptions/subscriber.h"
#include "worker/state/relay/relay_pipe.h"

namespace pronghorn::worker {

// Context:   loop thread. Must not be destroyed from within a call of its peers.
// Ownership: must outlive its own peer. `upstream` must outlive it.
class Relay final : private RelayPipe::Owner {
 public:
  static constexpr std::size_t kMaxQueued = 4 * 1024 * 1024;  // bytes that wait for one worker, and one message more

  // Who subscribes.
  class Peer {
   public:
    // What is published from now on follows.
    virtual void relay_subscribed(std::string_view channel) = 0;
    virtual void relay_message(std::string_view channel, const Reply& payload) = 0;
    // None of its subscriptions exists any more.
    virtual void relay_lost() = 0;

   protected:
    ~Peer() = default;
  };

  Relay(uv_loop_t* loop, Subscriber& upstream, WorkerRow& row);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay();

  // The worker's own peer, if it follows its own relay. It is called last, and may do everything, from the loop and never
  // from within these.
  void join(Peer& own) noexcept { own_ = &own; }
  void leave() noexcept;
  // True if the channel is subscribed to already; relay_subscribed() does not follow then.
  [[nodiscard]] bool subscribe(std::string_view channel);
  void unsubscribe(std::string_view channel) noexcept;

  // Takes ownership of `fd`, the end of a link to another worker. Ignores -1, which arrives when this process has no
  // descriptor left: the other end is closed then.
  void add_peer(int fd);
  // Whether other workers depend on this one. A draining worker waits until they have found another.
  [[nodiscard]] bool has_peers() const noexcept { return !remote_.empty(); }
  void on_peers_gone(std::function<void()> call) { peers_gone_ = std::move(call); }

  void close() noexcept;  // drops all peers

 private:
  class Remote;
  class Channel;
  using Channels = std::map<std::string, std::unique_ptr<Channel>, std::less<>>;

  // RelayPipe::Owner
  void pipe_record(RelayPipe& pipe, const RelayRecord& record) override;
  void pipe_ended(RelayPipe& pipe) override;

  [[nodiscard]] bool add(std::string_view channel, Remote* peer);
  void remove(std::string_view channel, const Remote* peer) noexcept;
  void forget(const Remote* peer) noexcept;
  void upstream_lost();
  void drop_lagging();

  uv_loop_t* loop_;
  Subscriber& upstream_;
  WorkerRow& row_;
  Peer* own_ = nullptr;  // null: it follows another relay, or none yet
  std::vector<std::unique_ptr<Remote>> remote_;
  Channels channels_;
  bool some_lag_ = false;
  std::function<void()> peers_gone_;
};

}  // namespace pronghorn::worker
