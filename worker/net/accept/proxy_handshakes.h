// New connections from proxies that must name their client in a PROXY header before they are served.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "worker/net/socket/peer.h"

namespace pronghorn::worker {

// A phase of its own before the connection: whatever protocol the connection speaks need not know about PROXY headers,
// and connections from other peers pay nothing for them.
//
// Context: loop thread; owned by the HttpServer.
class ProxyHandshakes {
 public:
  struct Callbacks {
    // The header, of `size` bytes, was read off the socket. The callee owns `fd`; `peer` is who the header names.
    std::function<void(int fd, Peer peer, std::size_t size)> done;
    // The connection was closed: the proxy closed it, its header is invalid or did not arrive in time. The last two are
    // counted (bad_requests, timeouts).
    std::function<void()> closed;
  };

  ProxyHandshakes(uv_loop_t* loop, WorkerRow& row, Callbacks callbacks);
  ProxyHandshakes(const ProxyHandshakes&) = delete;
  ProxyHandshakes& operator=(const ProxyHandshakes&) = delete;
  ~ProxyHandshakes();

  // Waits for the header of `peer`, a proxy. Takes ownership of `fd`.
  void begin(int fd, Peer peer);
  // Closes connections whose header has not arrived within `limit`; 0: no limit.
  void expire(std::uint64_t now_ms, Milliseconds limit);
  // Closes all, without calling closed().
  void close_all() noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return waiting_.size(); }

 private:
  struct Handshake;
  using Waiting = std::list<Handshake>;  // in the order in which they began

  void read(Waiting::iterator handshake);
  void watch(Waiting::iterator handshake);
  void finish(Waiting::iterator handshake, const struct ProxyHeader& header);
  void refuse(Waiting::iterator handshake, const char* reason);
  void drop(Waiting::iterator handshake);

  uv_loop_t* loop_;
  WorkerRow& row_;
  Callbacks callbacks_;
  Waiting waiting_;
  std::uint64_t next_report_ms_ = 0;
  std::uint64_t refused_ = 0;  // invalid headers since the last report
};

}  // namespace pronghorn::worker
