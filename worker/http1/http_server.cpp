#include "worker/http1/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "worker/http1/response_head.h"
#include "worker/http1/streamed_response.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint64_t kIdleGraceMs = 2000;       // of a replaced worker's idle connections
constexpr Milliseconds kDrainHeaderTimeout{1000};  // of clients that have connected and not sent their request yet
constexpr Milliseconds kLingerTime{3000};          // of a client that goes on sending after its last answer

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

// Connections above max_connections that are told so; the rest wait in the accept queue.
std::size_t surplus_allowed(std::size_t limit) noexcept { return std::max<std::size_t>(limit / 16, 16); }

template <class Handle>
void close_handle(Handle* handle) {
  handle->data = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(handle),
           [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
}

}  // namespace

HttpServer::HttpServer(uv_loop_t* loop, const Config& config, RequestHandler& handler, StateServices* state,
                       WorkerRow& row)
    : context_(loop, config, handler, state, row),
      proxy_protocol_(config.proxy_protocol),
      trusted_proxies_(config.trusted_proxies),
      handshakes_(loop, row,
                  {.done = [this](int fd, bool is_unix, Peer peer) { serve(fd, is_unix, std::move(peer)); },
                   .closed = [this] { client_gone(); }}),
      prepare_(new uv_prepare_t),
      check_(new uv_check_t),
      idle_(new uv_idle_t),
      timer_(new uv_timer_t),
      last_tick_ms_(monotonic_ms()) {
  // Before the poll too: timers run before it, and what their coroutines wrote should not wait for it.
  uv_prepare_init(loop, prepare_);
  prepare_->data = this;
  uv_prepare_start(prepare_, [](uv_prepare_t* handle) { static_cast<HttpServer*>(handle->data)->end_of_turn(); });
  uv_check_init(loop, check_);
  check_->data = this;
  uv_check_start(check_, [](uv_check_t* handle) { static_cast<HttpServer*>(handle->data)->end_of_turn(); });
  uv_idle_init(loop, idle_);
  idle_->data = this;
  uv_timer_init(loop, timer_);
  timer_->data = this;
  uv_timer_start(timer_, [](uv_timer_t* handle) { static_cast<HttpServer*>(handle->data)->tick(); }, kTickMs, kTickMs);
  refresh_response_date();
}

HttpServer::~HttpServer() {
  acceptors_.clear();
  end_of_turn();
  close_handle(prepare_);
  close_handle(check_);
  close_handle(idle_);
  close_handle(timer_);
}

void HttpServer::listen(const InheritedListener& listener, bool exclusive) {
  if (acceptors_.contains(listener.fd)) return;
  const bool is_unix = listener.is_unix;
  auto acceptor = std::make_unique<Acceptor>(
      context_.loop, listener.fd, exclusive, context_.row,
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
    handshakes_.begin(fd, is_unix, std::move(peer));
  } else {
    serve(fd, is_unix, std::move(peer));
  }
  const auto limit = context_.limits.max_connections;
  if (limit != 0 && connections() >= limit + surplus_allowed(limit)) {
    full_ = true;
    stop_accepting();
  }
}

void HttpServer::serve(int fd, bool is_unix, Peer peer) {
  if (!trusted_proxies_.empty() && trusted_proxies_.contains(peer.client.address)) {
    peer.trusted_proxies = &trusted_proxies_;
  }
  const auto limit = context_.limits.max_connections;
  const bool surplus = limit != 0 && connections() >= limit;
  if (surplus) add(context_.row[Count::limit_connections]);
  auto* connection = new Http1Connection(context_, *this, fd, is_unix, std::move(peer), surplus);
  connections_.insert(connection);
  connection->start();
}

void HttpServer::stop_accepting() noexcept {
  for (auto& [fd, acceptor] : acceptors_) acceptor->stop();
}

void HttpServer::closed(Http1Connection& connection) noexcept {
  connections_.erase(&connection);
  delete &connection;
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
  const std::vector<Http1Connection*> all(connections_.begin(), connections_.end());
  for (Http1Connection* connection : all) connection->drain(last);
  if (connections() == 0 && on_empty_) on_empty_();
}

bool HttpServer::accept_waiting() {
  for (auto& [fd, acceptor] : acceptors_) acceptor->empty_queue();
  return connections() > 0;
}

void HttpServer::close_all() {
  acceptors_.clear();
  const std::vector<Http1Connection*> all(connections_.begin(), connections_.end());
  for (Http1Connection* connection : all) connection->close();
  subtract(context_.row[Count::connections], handshakes_.size());
  handshakes_.close_all();
}

void HttpServer::end_of_turn() {
  // By index: flushing one stream may resume a coroutine that writes to another.
  for (std::size_t i = 0; i < context_.unflushed_streams.size(); ++i) context_.unflushed_streams[i]->end_of_turn();
  context_.unflushed_streams.clear();
  // Destroying a coroutine runs destructors of the application, which may end more of them.
  while (!context_.ended_streams.empty() || !context_.ended_exchanges.empty()) {
    auto streams = std::exchange(context_.ended_streams, {});
    for (const auto& stream : streams) std::erase(context_.yielding_streams, stream.get());
    streams.clear();  // first: producers use their requests
    for (Exchange* exchange : std::exchange(context_.ended_exchanges, {})) context_.exchanges.release(exchange);
  }
  if (!context_.yielding_streams.empty()) {
    uv_idle_start(idle_, [](uv_idle_t* handle) { static_cast<HttpServer*>(handle->data)->resume_yielding(); });
  }
  context_.access_log.flush();
}

void HttpServer::resume_yielding() {
  uv_idle_stop(idle_);
  // None of them is destroyed meanwhile: that is left to the end of the turn.
  for (StreamedResponse* stream : std::exchange(context_.yielding_streams, {})) stream->next_turn();
}

void HttpServer::tick() {
  const std::uint64_t now_ms = monotonic_ms();
  context_.timeouts.advance((now_ms - last_tick_ms_) / kTickMs);
  last_tick_ms_ += (now_ms - last_tick_ms_) / kTickMs * kTickMs;
  refresh_response_date();

  const HttpLimits& limits = context_.limits;
  handshakes_.expire(now_ms, header_timeout(now_ms));
  expire(Waiting::for_head, header_timeout(now_ms));
  expire(Waiting::for_body, limits.body_timeout);
  expire(Waiting::for_writes, limits.write_timeout);
  expire(Waiting::for_request, keep_alive_timeout());
  expire(Waiting::for_end, kLingerTime);
  for (const Waiting kind : {Waiting::for_handler, Waiting::for_body, Waiting::for_writes}) check_deadlines(kind);
  for (auto& [fd, acceptor] : acceptors_) acceptor->retry();
  if (context_.draining && !idle_closed_ && now_ms - drain_started_ms_ >= kIdleGraceMs) {
    idle_closed_ = true;
    const std::vector<Http1Connection*> all(connections_.begin(), connections_.end());
    for (Http1Connection* connection : all) connection->drain(true);
  }
}

void HttpServer::check_deadlines(Waiting kind) {
  const auto now = std::chrono::steady_clock::now();
  for (TimeoutEntry* entry = context_.timeouts.first(kind); entry != nullptr;) {
    TimeoutEntry* next = TimeoutLists::after(*entry);
    static_cast<Http1Connection*>(entry)->check_deadline(now);
    entry = next;
  }
}

Milliseconds HttpServer::header_timeout(std::uint64_t now_ms) const noexcept {
  const Milliseconds configured = context_.limits.header_timeout;
  const bool hurry = context_.draining && (last_ || now_ms - drain_started_ms_ >= kIdleGraceMs);
  if (!hurry) return configured;
  return configured.count() == 0 ? kDrainHeaderTimeout : std::min(configured, kDrainHeaderTimeout);
}

// Idle connections have been closed by then: one that becomes idle had a response that began before the drain, and did
// not say "Connection: close".
Milliseconds HttpServer::keep_alive_timeout() const noexcept {
  if (context_.draining && idle_closed_) return Milliseconds(kTickMs);
  return context_.limits.keep_alive_timeout;
}

void HttpServer::expire(Waiting kind, Milliseconds limit) {
  if (limit.count() == 0) return;
  const std::uint64_t ticks = (static_cast<std::uint64_t>(limit.count()) + kTickMs - 1) / kTickMs;
  while (TimeoutEntry* entry = context_.timeouts.expired(kind, ticks))
    static_cast<Http1Connection*>(entry)->timed_out();
}

}  // namespace pronghorn::worker
