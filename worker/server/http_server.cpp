#include "worker/server/http_server.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <utility>

#include "common/config/connection_limit.h"
#include "worker/exchange/logging/request_record.h"
#include "worker/http/head/response_date.h"
#include "worker/http1/head_receiver.h"
#include "worker/http1/parser/head_parser.h"
#include "worker/net/socket/socket_identity.h"
#include "worker/server/overload_report.h"
#include "worker/tls/tls_service.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint64_t kIdleGraceMs = 2000;       // for idle connections that cannot be handed over
constexpr std::uint64_t kQueueFullMs = 2;          // until the handoff queue is tried again
constexpr int kMovesPerTurn = 64;                  // each takes 0.1 ms, and requests that are running wait meanwhile
constexpr Milliseconds kDrainHeaderTimeout{1000};  // for clients that have connected and not sent their request yet
constexpr Milliseconds kLingerTimeout{3000};       // for a client to close after its last response
constexpr Milliseconds kDrainLingerTimeout{1000};
constexpr int kAcceptsPerLook = 8;  // at the length of the queues

}  // namespace

HttpServer::HttpServer(uv_loop_t* loop, const Config& config, RequestHandler& handler, StateServices* state,
                       WorkerRow& row, Survival* survival)
    : loop_(loop),
      survival_(survival),
      own_read_buffer_(survival != nullptr ? 0 : Ledger::kReadBuffer, '\0'),
      read_buffer_(survival != nullptr ? survival->ledger().read_buffer() : SocketStream::ReadBuffer(own_read_buffer_)),
      context_(config, handler, state, row),
      pauses_(row),
      proxy_protocol_(config.proxy_protocol),
      trusted_proxies_(config.trusted_proxies),
      proxies_send_forwarded_(config.forwarding_fields == "forwarded"),
      handshakes_(loop, row,
                  {.done = [this](int fd, Peer peer, std::size_t size) { serve(fd, std::move(peer), size, nullptr); },
                   .closed = [this] { client_gone(); }}),
      prepare_(new uv_prepare_t),
      check_(new uv_check_t),
      idle_(new uv_idle_t),
      timer_(new uv_timer_t),
      more_timer_(new uv_timer_t),
      last_tick_ms_(monotonic_ms()) {
  uv_prepare_init(loop, prepare_.get());
  uv_check_init(loop, check_.get());
  uv_idle_init(loop, idle_.get());
  uv_timer_init(loop, timer_.get());
  uv_timer_init(loop, more_timer_.get());
  context_.loop = loop;
  start_loop_handles();
  refresh_response_date();
}

void HttpServer::start_loop_handles() {
  for (void** data : {&prepare_->data, &check_->data, &idle_->data, &timer_->data, &more_timer_->data}) *data = this;
  // A turn ends after the poll and before it: timers run before the poll, and what their coroutines wrote must not
  // wait.
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
  const bool is_https = listener.is_https;
  auto acceptor = std::make_unique<Acceptor>(
      loop_, listener.fd, exclusive, context_.row, pauses_,
      [this, is_unix, is_https](int fd, const sockaddr_storage& address) { accepted(fd, address, is_unix, is_https); });
  if (!full_) acceptor->start();
  acceptors_.emplace(listener.fd, std::move(acceptor));
}

void HttpServer::stop_listening(int fd) { acceptors_.erase(fd); }

void HttpServer::adopt(int fd, bool is_https) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  const bool can_serve = !is_https || context_.tls != nullptr;
  if (!can_serve || ::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    ::close(fd);
    return;
  }
  add(context_.row[Count::accepted]);
  accepted(fd, address, address.ss_family == AF_UNIX, is_https);
}

void HttpServer::accepted(int fd, const sockaddr_storage& address, bool is_unix, bool is_https) {
  Peer peer = peer_of(address, is_unix);
  peer.https = is_https;
  count_accepted();
  add(context_.row[Count::connections]);
  if (!proxy_protocol_.empty() && proxy_protocol_.contains(peer.client.address)) {
    handshakes_.begin(fd, std::move(peer));
  } else {
    serve(fd, std::move(peer), 0, &address);
  }
  limit_clients();
}

// More clients may wait in the queue than one turn takes.
void HttpServer::count_accepted() noexcept {
  if (const std::uint64_t turn = uv_now(loop_); std::exchange(accepting_ms_, turn) != turn) accepted_ = 0;
  ++accepted_;
  if (accepted_ % kAcceptsPerLook == 0 && context_.admission.asks_for_queue()) look_at_queue();
  if (accepted_ == Acceptor::kAcceptsPerTurn) turn_was_long(uv_now(loop_), monotonic_ms());
}

void HttpServer::look_at_queue() noexcept {
  std::size_t clients = 0;
  for (const auto& [fd, acceptor] : acceptors_) clients += acceptor->waiting();
  context_.admission.clients_wait(clients, Admission::Time::clock::now());
}

void HttpServer::limit_clients() noexcept {
  if (connections() < most_connections(context_.limits.max_connections)) return;
  full_ = true;
  stop_accepting();
}

void HttpServer::know_proxy(Peer& peer) noexcept {
  if (trusted_proxies_.empty() || !trusted_proxies_.contains(peer.client.address)) return;
  peer.trusted_proxies = &trusted_proxies_;
  peer.sends_forwarded = proxies_send_forwarded_;
}

// `read`: bytes of the connection that were read already, of its PROXY header. `address`: of the socket and of the peer;
// null: unknown, or they differ.
void HttpServer::serve(int fd, Peer peer, std::uint64_t read, const sockaddr_storage* address) {
  know_proxy(peer);
  const auto limit = context_.limits.max_connections;
  const bool surplus = limit != 0 && connections() >= limit;
  if (surplus) add(context_.row[Count::limit_connections]);
  const bool survives = survival_ != nullptr && !surplus && !peer.https;
  LedgerEntry* const entry = survives ? note(fd, peer, read, address) : nullptr;
  if (survives && entry == nullptr) survival_->tell_full();
  ServedClient& client = add_client(fd, {});
  if (survival_ != nullptr) client.note(survival_->ledger(), entry, read);
  client.serve(std::move(peer), surplus);
}

LedgerEntry* HttpServer::note(int fd, const Peer& peer, std::uint64_t read, const sockaddr_storage* address) noexcept {
  Ledger& ledger = survival_->ledger();
  if (address == nullptr) return ledger.add(fd, LedgerPeer::of(peer), read, 0);
  return ledger.add(fd, LedgerPeer::of(peer, ip_of(*address)), read, 0, identity_of(*address));
}

ServedClient& HttpServer::add_client(int fd, std::optional<std::uint64_t> sent) {
  auto* const client = new ServedClient(context_, *this, fd, read_buffer_, sent);
  client->set_position(static_cast<std::uint32_t>(clients_.size()));
  clients_.push_back(client);
  return *client;
}

void HttpServer::kernel_encrypts(ServedClient& client, const Peer& peer) {
  if (survival_ != nullptr && !client.note_kernel_tls(survival_->ledger(), peer)) survival_->tell_full();
}

void HttpServer::take_connections() {
  if (survival_ == nullptr) return;
  taker_ = std::make_unique<HandoffTaker>(loop_, survival_->inbox(), survival_->queue().take,
                                          [this](const HandoffInbox::Taken& taken) { take(taken); });
  if (!full_) taker_->start();
}

void HttpServer::take(const HandoffInbox::Taken& taken) {
  const HandoffRecord& record = taken.record;
  if (record.reason == HandoffReason::lost) {
    record_lost(record, taken.handed.unanswered);
    return survival_->inbox().done();
  }
  if (record.reason == HandoffReason::accepted) {
    adopt(taken.handed.connection, record.peer.to_peer().https);
    return survival_->inbox().done();
  }
  const bool by_kernel = (record.peer.flags & LedgerPeer::kKernelTls) != 0;
  if (by_kernel && context_.tls == nullptr) return refuse(taken);
  add(context_.row[Count::connections]);
  const Handed& handed = taken.handed;
  LedgerEntry* const entry = survival_->ledger().take_up(handed.connection, record.peer, taken_up(taken));
  survival_->inbox().done();
  std::unique_ptr<detail::FilePart> file;
  if (handed.file >= 0) {
    file = std::make_unique<detail::FilePart>(std::make_shared<const OpenFile>(handed.file), record.file_offset,
                                              record.file_bytes);
  }
  Peer peer = record.peer.to_peer();
  know_proxy(peer);
  ServedClient& client = add_client(handed.connection, record.sent);
  if (by_kernel) client.use_kernel_tls(record);
  client.note(survival_->ledger(), entry, record.answered);
  client.resume(std::move(peer), taken, std::move(file));
  if (context_.draining) client.connection().drain(true);
  limit_clients();
}

// A reload has ended https: nobody here could serve it.
void HttpServer::refuse(const HandoffInbox::Taken& taken) noexcept {
  ::close(taken.handed.connection);
  if (taken.handed.file >= 0) ::close(taken.handed.file);
  survival_->inbox().done();
}

// A request that ended with another worker. `bytes` begin with its head, unless that is malformed.
void HttpServer::record_lost(const HandoffRecord& record, std::string_view bytes) {
  using std::chrono::steady_clock;
  HeadReceiver heads;
  Refusal refusal;
  const HeadReceiver::Step step = bytes.empty() ? HeadReceiver::Step{} : heads.next(bytes, context_.limits, refusal);
  if (step.state != HeadReceiver::Step::State::complete) return;
  Peer peer = record.peer.to_peer();
  know_proxy(peer);
  Exchange& exchange = context_.exchanges.open({.owner = context_.nobody, .peer = peer, .state = nullptr});
  if (record.begun_ns != 0) {
    exchange.started = std::min(exchange.started, steady_clock::time_point(std::chrono::nanoseconds(record.begun_ns)));
  }
  exchange.head_bytes.assign(bytes.substr(0, step.consumed));
  refusal = parse_head(exchange.head_bytes, step.first_line, context_.limits, exchange.head);
  if (refusal.status == 0) record_lost_request(context_.row, context_.access_log, exchange, Lost::worker_died, 0);
  context_.exchanges.close(exchange);
}

void HttpServer::stop_accepting() noexcept {
  for (auto& [fd, acceptor] : acceptors_) acceptor->stop();
  if (taker_) taker_->stop();
}

void HttpServer::closed(ServedClient& client) noexcept {
  ServedClient* const last = clients_.back();
  last->set_position(client.position());
  clients_[client.position()] = last;
  clients_.pop_back();
  delete &client;
  client_gone();
}

void HttpServer::client_gone() noexcept {
  subtract(context_.row[Count::connections]);
  if (full_ && connections() < most_connections(context_.limits.max_connections)) {
    full_ = false;
    for (auto& [fd, acceptor] : acceptors_) acceptor->start();
    if (taker_) taker_->start();
  }
  if (connections() == 0 && on_empty_) on_empty_();
}

void HttpServer::drain(bool last) {
  context_.draining = true;
  context_.hands_over = !last && survival_ != nullptr && !survival_->orphaned();
  if (!last) taker_.reset();  // when the server stops, only workers that drain are left to take connections
  drain_started_ms_ = monotonic_ms();
  for (auto& [fd, acceptor] : acceptors_) acceptor->empty_queue();
  if (!last) acceptors_.clear();
  last_ = last;
  context_.ends_idle = last;
  drain_connections(last);
  if (connections() == 0 && on_empty_) on_empty_();
}

void HttpServer::drain_connections(bool close_idle) {
  const std::vector<ServedClient*> all = clients_;
  for (ServedClient* client : all) client->connection().drain(close_idle);
}

// Those that wait for a request, for the rest of a head, for a message or (sockets move with it) for their client to
// take what is queued are at hand in the lists of the timeouts.
void HttpServer::hand_over_idle() {
  const auto go_on_in = [this](std::uint64_t ms) {
    uv_timer_start(
        more_timer_.get(), [](uv_timer_t* handle) { static_cast<HttpServer*>(handle->data)->hand_over_idle(); }, ms, 0);
  };
  int moves = 0;
  for (const Waiting kind : {Waiting::for_request, Waiting::for_head, Waiting::for_message, Waiting::for_writes}) {
    for (TimeoutEntry* entry = context_.timeouts.first(kind); entry != nullptr;) {
      TimeoutEntry* const next = TimeoutLists::after(*entry);
      auto& connection = *static_cast<Connection*>(entry);
      if (connection.can_move()) {
        if (moves++ == kMovesPerTurn) return go_on_in(0);
        if (hand_over(connection) == HandoffSent::full) return go_on_in(kQueueFullMs);
      }
      entry = next;
    }
  }
}

HandoffSent HttpServer::hand_over(Connection& connection) {
  const HandoffSent sent = connection.hand_over(survival_->ledger(), survival_->queue().give);
  if (sent == HandoffSent::yes) {
    add(context_.row[Count::handed_over_drain]);
    connection.moved();
  } else if (sent == HandoffSent::refused) {
    connection.notes().end();  // it ends with this worker, like one that the ledger had no room for
  }
  return sent;
}

bool HttpServer::accept_waiting() {
  for (auto& [fd, acceptor] : acceptors_) acceptor->empty_queue();
  if (taker_) taker_->take_waiting();
  return connections() > 0;
}

void HttpServer::close_all() {
  acceptors_.clear();
  taker_.reset();
  const std::vector<ServedClient*> all = clients_;
  for (ServedClient* client : all) client->connection().close();
  if (context_.tls != nullptr) context_.tls->unsent().give_up();
  subtract(context_.row[Count::connections], handshakes_.size());
  handshakes_.close_all();
}

void HttpServer::turn_was_long(std::uint64_t began_ms, std::uint64_t ended_ms) noexcept {
  const auto time = [](std::uint64_t ms) { return Admission::Time(std::chrono::milliseconds(ms)); };
  context_.admission.turn_was_long(time(began_ms), time(ended_ms));
}

void HttpServer::end_turn() {
  context_.end_of_turn.run();
  if (context_.hands_over && uv_is_active(reinterpret_cast<const uv_handle_t*>(more_timer_.get())) == 0)
    hand_over_idle();
  if (context_.end_of_turn.work_waits()) {
    uv_idle_start(idle_.get(), [](uv_idle_t* handle) {
      uv_idle_stop(handle);
      static_cast<HttpServer*>(handle->data)->context_.end_of_turn.resume();
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
  report_overload(context_.admission, context_.row);
  if (context_.tls != nullptr) context_.tls->tick(ticks);
  if (taker_ && !full_) taker_->start();
  if (context_.draining && !context_.ends_idle && now_ms - drain_started_ms_ >= kIdleGraceMs) {
    context_.ends_idle = true;
    drain_connections(true);
  }
}

Milliseconds HttpServer::header_timeout(std::uint64_t now_ms) const noexcept {
  const Milliseconds configured = context_.limits.header_timeout;
  const bool hurry = context_.draining && !context_.hands_over && (last_ || now_ms - drain_started_ms_ >= kIdleGraceMs);
  if (!hurry) return configured;
  return configured.count() == 0 ? kDrainHeaderTimeout : std::min(configured, kDrainHeaderTimeout);
}

ConnectionTimeouts HttpServer::timeouts(std::uint64_t now_ms) const noexcept {
  const HttpLimits& limits = context_.limits;
  // Once idle connections have been closed, one that becomes idle had a response that was begun before the drain and
  // did not say "Connection: close".
  const bool no_idle = context_.draining && context_.ends_idle && !context_.hands_over;
  return {.header = header_timeout(now_ms),
          .body = limits.body_timeout,
          .write = limits.write_timeout,
          .keep_alive = no_idle ? Milliseconds(kTickMs) : limits.keep_alive_timeout,
          .linger = context_.draining ? kDrainLingerTimeout : kLingerTimeout,
          .ping = limits.websocket_ping};
}

}  // namespace pronghorn::worker
