// Takes the connections that distributors pass to this worker (distributor/links.h).
//
// Context: loop thread; one per worker that accepts.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "common/ipc/channel.h"
#include "common/ipc/link_claims.h"
#include "common/uv_ptr.h"
#include "worker/server/http_server.h"

namespace pronghorn::worker {

class PassedConnections {
 public:
  // `on_unlinked` is called when a link has ended. `loop` and `http` must outlive this.
  PassedConnections(uv_loop_t* loop, HttpServer& http, std::function<void()> on_unlinked);
  PassedConnections(const PassedConnections&) = delete;
  PassedConnections& operator=(const PassedConnections&) = delete;

  // Takes ownership of `fd`, this worker's end of a link to a distributor, and takes connections from it too. Ignores
  // -1, which arrives when this process has no descriptor left; the distributor then sees that the other end is closed.
  void add_link(int fd) noexcept;
  // Whether a distributor may still pass connections. For a worker without listeners this is its accept queue.
  [[nodiscard]] bool linked() const noexcept { return !links_.empty(); }

 private:
  static constexpr std::chrono::milliseconds kConfirmAgain{20};

  struct Link {
    std::unique_ptr<Channel> channel;
    std::optional<LinkClaims> claims;
    std::uint64_t last_ticket = 0;
    std::string not_taken;     // see MessageKind::accepted
    bool unconfirmed = false;  // a confirmation did not fit into the queue
  };

  void take(Link& link, const ChannelMessage& message, int fd);
  void confirm(Link& link);
  void ended(std::list<Link>::iterator link);

  uv_loop_t* loop_;
  HttpServer& http_;
  std::function<void()> on_unlinked_;
  std::list<Link> links_;
  UvPtr<uv_timer_t> again_;
};

}  // namespace pronghorn::worker
