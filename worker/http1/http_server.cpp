#include "worker/http1/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "worker/http1/connection.h"
#include "worker/http1/response_head.h"
#include "worker/net/socket_stream.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kReadBuffer = 64 * 1024;
constexpr std::uint64_t kIdleGraceMs = 2000;       // for idle connections of a worker that is replaced
constexpr Milliseconds kDrainHeaderTimeout{1000};  // for clients that have connected and not sent their request yet
constexpr Milliseconds kLingerTimeout{3000};       // for a client to close after its last response
constexpr Milliseconds kDrainLingerTimeout{1000};

Peer peer_of(const sockaddr_storage& address, bool is_unix) {
  Peer peer;
  char text[INET6_ADDRSTRLEN] = {};
  if (is_unix || address.ss_family == AF_UNIX) {
    peer.client.address = "unix";
    peer.loopback = true;
  } else if (address.ss_family == AF_INET) {
    const auto& ip = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &ip.sin_addr, text, sizeof text);
    peer.client = {text, ntohs(ip.sin_port)};
    peer.loopback = (ntohl(ip.sin_addr.s_addr) >> 24) == 127;
  } else if (address.ss_family == AF_INET6) {
    const auto& ip = reinterpret_cast<const sockaddr_in6&>(address);
    if (IN6_IS_ADDR_V4MAPPED(&ip.sin6_addr)) {
      ::inet_ntop(AF_INET, ip.sin6_addr.s6_addr + 12, text, sizeof text);
      peer.loopback = ip.sin6_addr.s6_addr[12] == 127;
    } else {
      ::inet_ntop(AF_INET6, &ip.sin6_addr, text, sizeof text);
      peer.loopback = IN6_IS_ADDR_LOOPBACK(&ip.sin6_addr);
    }
    peer.client = {text, ntohs(ip.sin6_port)};
  }
  return peer;
}

// Connections above max_connections that are answered 503. More wait in the accept queue.
std::size_t surplus_allowed(std::size_t limit) noexcept { return std::max<std::size_t>(limit / 16, 16); }

}  // namespace

// A connection with its socket.
class HttpServer::Client final : public ConnectionOwner {
 public:
  Client(HttpServer& server, int fd, Peer peer, bool surplus)
      : server_(server),
        stream_(server.loop_, fd, server.read_buffer_),
        connection_(server.context_, *this, stream_, std::move(peer), surplus) {
    stream_.report_to(connection_);
  }

  void start() { connection_.start(); }
  [[nodiscard]] Http1Connection& connection() noexcept { return connection_; }

 private:
  void closed(Http1Connection&) noexcept override { server_.closed(*this); }

  HttpServer& server_;
  SocketStream stream_;
  Http1Connection connection_;
};

HttpServer::HttpServer(uv_loop_t* loop, const Config& config, RequestHandler& handler, StateServices* state,
                       WorkerRow& row)
    : loop_(loop),
      read_buffer_(kReadBuffer, '\0'),
      context_(config, handler, state, row),
      pauses_(row),
      proxy_protocol_(config.proxy_protocol),
      trusted_proxies_(config.trusted_proxies),
      proxies_send_forwarded_(config.forwarding_fields == "forwarded"),
      handshakes_(
          loop, row,
          {.done = [this](int fd, Peer peer) { serve(fd, std::move(peer)); }, .closed = [this] { client_gone(); }}),
      prepare_(new uv_prepare_t),
      check_(new uv_check_t),
      idle_(new uv_idle_t),
      timer_(new uv_timer_t),
      last_tick_ms_(monotonic_ms()) {
  uv_prepare_init(loop, prepare_.get());
  uv_check_init(loop, check_.get());
  uv_idle_init(loop, idle_.get());
  uv_timer_init(loop, timer_.get());
  start_loop_handles();
  refresh_response_date();
}

void HttpServer::start_loop_handles() {
  for (void** data : {&prepare_->data, &check_->data, &idle_->data, &timer_->data}) *data = this;
  // A turn ends after the poll and before it: timers run before the poll, and what their coroutines wrote must not wait.
  uv_prepare_start(prepare_.get(), [](uv_prepare_t* handle) { static_cast<HttpServer*>(handle->data)->end_turn(); });
  uv_check_start(check_.get(), [](uv_check_t* handle) { static_cast<HttpServer*>(handle->data)->end_turn(); });
  uv_timer_start(
      timer_.get(), [](uv_timer_t* handle) { static_cast<HttpServer*>(handle->data)->tick(); }, kTickMs, kTickMs);
}

HttpServer::~HttpServer() {
  acceptors_.clear();
  end_turn();
}

void HttpServer::listen(const InheritedListener& listener, bool exclusive) {
  if (acceptors_.contains(listener.fd)) return;
  const bool is_unix = listener.is_unix;
  auto acceptor = std::make_unique<Acceptor>(
      loop_, listener.fd, exclusive, context_.row, pauses_,
      [this, is_unix](int fd, const sockaddr_storage& address) { accepted(fd, address, is_unix); });
  if (!full_) acceptor->start();
  acceptors_.emplace(listener.fd, std::move(acceptor));
}

void HttpServer::stop_listening(int fd) { acceptors_.erase(fd); }

void HttpServer::adopt(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    ::close(fd);
    return;
  }
  add(context_.row[Count::accepted]);
  accepted(fd, address, address.ss_family == AF_UNIX);
}

void HttpServer::accepted(int fd, const sockaddr_storage& address, bool is_unix) {
  Peer peer = peer_of(address, is_unix);
  add(context_.row[Count::connections]);
  if (!proxy_protocol_.empty() && proxy_protocol_.contains(peer.client.address)) {
    handshakes_.begin(fd, std::move(peer));
  } else {
    serve(fd, std::move(peer));
  }
  const auto limit = context_.limits.max_connections;
  if (limit != 0 && connections() >= limit + surplus_allowed(limit)) {
    full_ = true;
    stop_accepting();
  }
}

void HttpServer::serve(int fd, Peer peer) {
  if (!trusted_proxies_.empty() && trusted_proxies_.contains(peer.client.address)) {
    peer.trusted_proxies = &trusted_proxies_;
    peer.sends_forwarded = proxies_send_forwarded_;
  }
  const auto limit = context_.limits.max_connections;
  const bool surplus = limit != 0 && connections() >= limit;
  if (surplus) add(context_.row[Count::limit_connections]);
  auto* const client = new Client(*this, fd, std::move(peer), surplus);
  clients_.insert(client);
  client->start();
}

void HttpServer::stop_accepting() noexcept {
  for (auto& [fd, acceptor] : acceptors_) acceptor->stop();
}

void HttpServer::closed(Client& client) noexcept {
  clients_.erase(&client);
  delete &client;
  client_gone();
}

void HttpServer::client_gone() noexcept {
  subtract(context_.row[Count::connections]);
  const auto limit = context_.limits.max_connections;
  if (full_ && connections() < limit + surplus_allowed(limit)) {
    full_ = false;
    for (auto& [fd, acceptor] : acceptors_) acceptor->start();
  }
  if (connections() == 0 && on_empty_) on_empty_();
}

void HttpServer::drain(bool last) {
  context_.draining = true;
  drain_started_ms_ = monotonic_ms();
  for (auto& [fd, acceptor] : acceptors_) acceptor->empty_queue();
  if (!last) acceptors_.clear();
  last_ = last;
  idle_closed_ = last;
  drain_connections(last);
  if (connections() == 0 && on_empty_) on_empty_();
}

void HttpServer::drain_connections(bool close_idle) {
  const std::vector<Client*> all(clients_.begin(), clients_.end());
  for (Client* client : all) client->connection().drain(close_idle);
}

bool HttpServer::accept_waiting() {
  for (auto& [fd, acceptor] : acceptors_) acceptor->empty_queue();
  return connections() > 0;
}

void HttpServer::close_all() {
  acceptors_.clear();
  const std::vector<Client*> all(clients_.begin(), clients_.end());
  for (Client* client : all) client->connection().close();
  subtract(context_.row[Count::connections], handshakes_.size());
  handshakes_.close_all();
}

void HttpServer::end_turn() {
  context_.end_of_turn.run();
  if (context_.end_of_turn.streams_wait()) {
    uv_idle_start(idle_.get(), [](uv_idle_t* handle) {
      uv_idle_stop(handle);
      static_cast<HttpServer*>(handle->data)->context_.end_of_turn.resume_streams();
    });
  }
  context_.access_log.flush();
}

void HttpServer::tick() {
  const std::uint64_t now_ms = monotonic_ms();
  const std::uint64_t ticks = (now_ms - last_tick_ms_) / kTickMs;
  last_tick_ms_ += ticks * kTickMs;
  refresh_response_date();
  add(context_.row[Count::log_lines_dropped], context_.access_log.take_dropped());
  handshakes_.expire(now_ms, header_timeout(now_ms));
  expire_connections(context_, ticks, timeouts(now_ms), std::chrono::steady_clock::now());
  for (auto& [fd, acceptor] : acceptors_) acceptor->retry();
  pauses_.look();
  if (context_.draining && !idle_closed_ && now_ms - drain_started_ms_ >= kIdleGraceMs) {
    idle_closed_ = true;
    drain_connections(true);
  }
}

Milliseconds HttpServer::header_timeout(std::uint64_t now_ms) const noexcept {
  const Milliseconds configured = context_.limits.header_timeout;
  const bool hurry = context_.draining && (last_ || now_ms - drain_started_ms_ >= kIdleGraceMs);
  if (!hurry) return configured;
  return configured.count() == 0 ? kDrainHeaderTimeout : std::min(configured, kDrainHeaderTimeout);
}

ConnectionTimeouts HttpServer::timeouts(std::uint64_t now_ms) const noexcept {
  const HttpLimits& limits = context_.limits;
  // Once idle connections have been closed, one that becomes idle had a response that was begun before the drain and
  // did not say "Connection: close".
  const bool no_idle = context_.draining && idle_closed_;
  return {.header = header_timeout(now_ms),
          .body = limits.body_timeout,
          .write = limits.write_timeout,
          .keep_alive = no_idle ? Milliseconds(kTickMs) : limits.keep_alive_timeout,
          .linger = context_.draining ? kDrainLingerTimeout : kLingerTimeout};
}

}  // namespace pronghorn::worker
