// New connections from proxies that have to say, in a PROXY header, who their client is. They become connections of the
// server when they have.
//
// A phase of its own before the connection: whatever protocol the connection speaks need not know of it, and costs
// nothing for it.
//
// Context: loop thread; owned by the HttpServer.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "worker/net/peer.h"

namespace pronghorn::worker {

class ProxyHandshakes {
 public:
  struct Callbacks {
    // The header has come and was taken off: `fd`, which the callee owns, and the peer that it names.
    std::function<void(int fd, bool is_unix, Peer peer)> done;
    // The connection was closed: it ended, broke the rules or took too long. A bad header and a timeout are counted.
    std::function<void()> closed;
  };

  ProxyHandshakes(uv_loop_t* loop, WorkerRow& row, Callbacks callbacks);
  ProxyHandshakes(const ProxyHandshakes&) = delete;
  ProxyHandshakes& operator=(const ProxyHandshakes&) = delete;
  ~ProxyHandshakes();

  // Takes `fd` over.
  void begin(int fd, bool is_unix, Peer peer);
  // Closes those that began `limit` ago or earlier; 0: none.
  void expire(std::uint64_t now_ms, Milliseconds limit);
  // Without closed().
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
  std::uint64_t refused_ = 0;  // since the last report
};

}  // namespace pronghorn::worker
