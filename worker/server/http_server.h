// The HTTP side of one worker: listeners, connections, timeouts, draining.
#pragma once

#include <uv.h>

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/config/networks.h"
#include "common/ipc/handover.h"
#include "common/ipc/scoreboard.h"
#include "common/uv_ptr.h"
#include "worker/connection/http_context.h"
#include "worker/guardian/handoff/handoff_taker.h"
#include "worker/guardian/survival.h"
#include "worker/net/accept/acceptor.h"
#include "worker/net/accept/proxy_handshakes.h"
#include "worker/server/expiry.h"
#include "worker/server/served_client.h"

namespace pronghorn::worker {

// Context: loop thread of a worker.
class HttpServer final : private ServedClientOwner {
 public:
  // All references must outlive the server. Throws std::runtime_error if the access log cannot be opened, and
  // std::invalid_argument for an entry of proxy_protocol or trusted_proxies that is not a network.
  // `survival` is null if connections end with the worker.
  HttpServer(uv_loop_t* loop, const Config& config, RequestHandler& handler, StateServices* state, WorkerRow& row,
             Survival* survival = nullptr);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  // There must be no connections: close_all(), then turns of the loop until connections() is 0. The loop must turn once
  // more afterwards, to free the handles.
  ~HttpServer();

  // Accepts clients from a listener, which belongs to the supervisor. `exclusive`: see Acceptor. Does nothing if it
  // listens there already.
  void listen(const InheritedListener& listener, bool exclusive);
  // Leaves the listener to its own worker again.
  void stop_listening(int fd);
  // Serves a client that another process has accepted. Takes ownership of `fd`, a non-blocking socket.
  void adopt(int fd, bool is_https = false);

  // The WebSockets of the application. Call it before there is a connection; `sockets` must outlive them.
  void use_sockets(SocketService& sockets) noexcept { context_.sockets = &sockets; }

  // What connections over TLS need. Call it before there is one; `tls` must outlive them.
  void use_tls(TlsService& tls) noexcept { context_.tls = &tls; }

  // Starts to take connections of other workers from the handoff queue.
  void take_connections();

  // From now on, connections end or move to other workers.
  //  last == true (the server stops): closes idle connections at once. Still takes new clients from the accept queues
  //    until the last request has ended, so that nobody who has connected is reset; they have a second to send their
  //    request.
  //  last == false (another worker has the listeners): leaves new clients to that worker, and sends each connection to
  //    another worker as soon as no request is running on it. Connections that are not in the ledger get "Connection:
  //    close". When idle they stay open for two seconds, because closing one just when its next request arrives would
  //    lose that request.
  void drain(bool last);
  // While draining: takes the clients that have connected meanwhile. False if there are no connections.
  bool accept_waiting();
  // Closes every connection unconditionally.
  void close_all();
  // The loop was busy from `began_ms` to `ended_ms` (monotonic) without polling.
  void turn_was_long(std::uint64_t began_ms, std::uint64_t ended_ms) noexcept;
  void reopen_logs() noexcept { context_.access_log.reopen(); }

  // Valid for as long as the server.
  [[nodiscard]] const ExchangePool& exchanges() const noexcept { return context_.exchanges; }
  [[nodiscard]] Admission& admission() noexcept { return context_.admission; }
  [[nodiscard]] bool draining() const noexcept { return context_.draining; }
  [[nodiscard]] std::size_t connections() const noexcept { return clients_.size() + handshakes_.size(); }
  // Called when the last connection has closed.
  void on_empty(std::function<void()> callback) { on_empty_ = std::move(callback); }

 private:
  void accepted(int fd, const sockaddr_storage& address, bool is_unix, bool is_https);
  void serve(int fd, Peer peer, std::uint64_t read, const sockaddr_storage* address);
  [[nodiscard]] LedgerEntry* note(int fd, const Peer& peer, std::uint64_t read,
                                  const sockaddr_storage* address) noexcept;
  void take(const HandoffInbox::Taken& taken);
  void refuse(const HandoffInbox::Taken& taken) noexcept;
  void record_lost(const HandoffRecord& record, std::string_view bytes);
  void know_proxy(Peer& peer) noexcept;
  ServedClient& add_client(int fd, std::optional<std::uint64_t> sent);
  // ServedClientOwner
  void closed(ServedClient& client) noexcept override;
  void kernel_encrypts(ServedClient& client, const Peer& peer) override;

  void client_gone() noexcept;
  void start_loop_handles();
  void end_turn();
  void tick();
  void drain_connections(bool close_idle);
  void hand_over_idle();
  [[nodiscard]] HandoffSent hand_over(Connection& connection);
  [[nodiscard]] Milliseconds header_timeout(std::uint64_t now_ms) const noexcept;
  [[nodiscard]] ConnectionTimeouts timeouts(std::uint64_t now_ms) const noexcept;
  void count_accepted() noexcept;
  void look_at_queue() noexcept;
  void limit_clients() noexcept;
  void stop_accepting() noexcept;

  uv_loop_t* loop_;
  Survival* survival_;
  std::string own_read_buffer_;           // without a ledger
  SocketStream::ReadBuffer read_buffer_;  // for all connections, one at a time
  HttpContext context_;
  AcceptPauses pauses_;
  std::map<int, std::unique_ptr<Acceptor>> acceptors_;  // by listener
  Networks proxy_protocol_;
  Networks trusted_proxies_;
  bool proxies_send_forwarded_;  // which family of fields the trusted ones set: see the option forwarding_fields
  ProxyHandshakes handshakes_;
  std::vector<ServedClient*> clients_;  // each knows its position
  std::function<void()> on_empty_;
  UvPtr<uv_prepare_t> prepare_;
  UvPtr<uv_check_t> check_;
  UvPtr<uv_idle_t> idle_;  // active while streams wait for the next turn: the loop then does not wait for events
  UvPtr<uv_timer_t> timer_;
  UvPtr<uv_timer_t> more_timer_;         // while more connections are to be handed over
  std::unique_ptr<HandoffTaker> taker_;  // null: no connections of others are taken
  std::uint64_t last_tick_ms_;
  std::uint64_t drain_started_ms_ = 0;
  std::uint64_t accepting_ms_ = 0;  // the last turn in which clients were accepted
  int accepted_ = 0;                // how many in that turn
  bool full_ = false;               // max_connections reached
  bool last_ = false;               // draining because the server stops
};

}  // namespace pronghorn::worker
