// The HTTP side of one worker: listeners, connections, timeouts, draining.
//
// Context: loop thread of a worker.
#pragma once

#include <uv.h>

#include <functional>
#include <map>
#include <memory>
#include <unordered_set>
#include <vector>

#include "common/config/config.h"
#include "common/config/networks.h"
#include "common/ipc/handover.h"
#include "common/ipc/scoreboard.h"
#include "worker/http1/connection.h"
#include "worker/http1/http_context.h"
#include "worker/net/acceptor.h"
#include "worker/net/proxy_handshakes.h"

namespace pronghorn::worker {

class HttpServer final : public ConnectionOwner {
 public:
  // All references outlive the server. Throws std::runtime_error (access log, loop), and std::invalid_argument for an
  // entry of proxy_protocol or trusted_proxies that is no network.
  HttpServer(uv_loop_t* loop, const Config& config, RequestHandler& handler, StateServices* state, WorkerRow& row);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  // The loop must have closed every handle (close_all(), then a turn) before.
  ~HttpServer();

  // Accepts from a listener, which stays the supervisor's. `exclusive`: see Acceptor. Twice for one listener: does
  // nothing.
  void listen(const InheritedListener& listener, bool exclusive);
  // Leaves the listener to its own worker again.
  void stop_listening(int fd);
  // Serves a client that the supervisor accepted. Takes `fd` over.
  void adopt(int fd);

  // Responses carry "Connection: close" from now on.
  //  last == true (the server stops): idle connections are closed at once, new clients are still taken from the queues
  //    until the last request has ended, so that nobody who has connected is reset; who has not sent a request has a
  //    second for it.
  //  last == false (another worker has the listeners): new clients are left to it; idle connections get a moment to
  //  send the
  //    request that may be on its way, because closing just then would lose it.
  void drain(bool last);
  // While draining: takes the clients that have come since. False when there were none.
  bool accept_waiting();
  // Cuts every connection.
  void close_all();
  void reopen_logs() noexcept { context_.access_log.reopen(); }

  // For as long as the server lives.
  [[nodiscard]] const ExchangePool& exchanges() const noexcept { return context_.exchanges; }
  [[nodiscard]] bool draining() const noexcept { return context_.draining; }
  [[nodiscard]] std::size_t connections() const noexcept { return connections_.size() + handshakes_.size(); }
  // Called when the last connection has closed.
  void on_empty(std::function<void()> callback) { on_empty_ = std::move(callback); }

 private:
  void accepted(int fd, const sockaddr_storage& address, bool is_unix);
  void serve(int fd, bool is_unix, Peer peer);
  void closed(Http1Connection& connection) noexcept override;
  void client_gone() noexcept;
  void end_of_turn();
  void resume_yielding();
  void tick();
  [[nodiscard]] Milliseconds header_timeout(std::uint64_t now_ms) const noexcept;
  [[nodiscard]] Milliseconds keep_alive_timeout() const noexcept;
  void expire(Waiting kind, Milliseconds limit);
  void check_deadlines(Waiting kind);
  void stop_accepting() noexcept;

  HttpContext context_;
  std::map<int, std::unique_ptr<Acceptor>> acceptors_;  // by listener
  Networks proxy_protocol_;
  Networks trusted_proxies_;
  ProxyHandshakes handshakes_;
  std::unordered_set<Http1Connection*> connections_;
  std::function<void()> on_empty_;
  uv_prepare_t* prepare_;
  uv_check_t* check_;
  uv_idle_t* idle_;  // active while streams wait for the next turn: then the loop does not wait for events
  uv_timer_t* timer_;
  std::uint64_t last_tick_ms_;
  std::uint64_t drain_started_ms_ = 0;
  bool full_ = false;  // max_connections reached
  bool last_ = false;  // draining because the server stops
  bool idle_closed_ = false;
};

}  // namespace pronghorn::worker
