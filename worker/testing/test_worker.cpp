#include "worker/testing/test_worker.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <stdexcept>
#include <utility>

#include "common/log.h"
#include "worker/fields/text.h"
#include "worker/http/head/response_date.h"
#include "worker/http1/parser/head_guard.h"
#include "worker/http1/parser/head_parser.h"
#include "worker/runtime/exception_text.h"
#include "worker/server/expiry.h"

namespace pronghorn::detail {

namespace {

using Clock = std::chrono::steady_clock;

constexpr Milliseconds kLingerTimeout{3000};
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kHandshake{
    {{"Upgrade", "websocket"},
     {"Connection", "Upgrade"},
     {"Sec-WebSocket-Version", "13"},
     {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},  // the example of RFC 6455
     {"Sec-WebSocket-Extensions", "permessage-deflate"}}};

bool has_header(const TestClient::Headers& headers, std::string_view name) {
  return std::any_of(headers.begin(), headers.end(),
                     [name](const auto& header) { return worker::equal_ignoring_case(header.first, name); });
}

void append_header(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ").append(value).append("\r\n");
}

Config make_config(const TestOptions& options) {
  Config config;
  config.name = "test";
  config.redis = options.redis;
  config.access_log = "off";
  config.app_settings.insert(options.settings.begin(), options.settings.end());
  return config;
}

}  // namespace

TestWorker::TestWorker(const std::function<void(App&)>& setup, const TestOptions& options)
    : config_(make_config(options)), timeout_(options.timeout) {
  if (options.redis == "temporary") config_.redis = temporary_redis_.emplace().address();
  if (config_.redis != "none") std::signal(SIGPIPE, SIG_IGN);  // Redis closing its connection must not end the test
  worker::refresh_response_date();
  client_address(options.client_address);
  runtime_ = std::make_unique<worker::Runtime>(loop_.get());
  state_ = std::make_unique<worker::StateServices>(loop_.get(), config_, *row_);
  application_ = std::make_unique<worker::ServedApp>(config_, *row_, setup);
  context_ = std::make_unique<worker::HttpContext>(config_, *application_, state_.get(), *row_);
  loop_.at_end_of_turn([this] { end_turn(); });
  sockets_ = std::make_unique<worker::SocketService>(*row_, state_->redis ? state_.get() : nullptr, *this);
  application_->add_routes_to(*sockets_);
  context_->sockets = sockets_.get();
  state_->start([this](std::string reason) { fatal_ = std::move(reason); });
  try {
    run(application_->start(*this), "an on_start hook");
    application_->start_jobs();
  } catch (...) {
    shut_down();
    throw;
  }
}

TestWorker::~TestWorker() {
  runtime_->make_current();
  try {
    draining_ = true;
    run(application_->drain(*this), "an on_drain hook");
    if (!wait_until([this] { return peers_.empty(); })) log_error("TestClient: a handler of a WebSocket did not end");
    run(application_->stop(*this), "an on_stop hook");
    if (state_->cache) run(state_->cache->drain(), "write_behind()");
  } catch (...) {
    log_error("TestClient: stopping failed", {{"error", worker::describe(std::current_exception())}});
  }
  shut_down();
}

worker::StateServices& TestWorker::services() {
  if (!state_->redis) throw std::logic_error("this TestClient has no Redis: set TestOptions::redis");
  return *state_;
}

void* TestWorker::find_state(const std::type_info& type) const noexcept {
  return application_ ? application_->find_state(type) : nullptr;
}

void TestWorker::over_tls(std::optional<ClientCertificate> certificate) {
  auto& facts = *tls_.emplace_back(std::make_unique<worker::TlsFacts>());
  facts.version = "TLSv1.3";
  facts.cipher = "TLS_AES_128_GCM_SHA256";
  if (certificate) facts.certificate = std::make_unique<const ClientCertificate>(std::move(*certificate));
  peer_.https = true;
  peer_.tls = &facts;
}

void TestWorker::client_address(std::string_view address) {
  peer_.client = {std::string(address), 1};
  peer_.loopback = address.starts_with("127.") || address == "::1";
}

// Coroutines first: they may use the application's state and Redis.
void TestWorker::shut_down() noexcept {
  end_sockets();
  runtime_.reset();
  application_->clear_state();
  state_->close();
}

void TestWorker::throw_if_fatal() const {
  if (!fatal_.empty()) throw std::runtime_error("TestClient: " + fatal_);
}

void TestWorker::run(Task<void> task, const char* what) {
  task.start();
  const bool ended = loop_.run_until(timeout_, [&] { return task.done() || !fatal_.empty(); });
  throw_if_fatal();
  if (!ended) throw std::runtime_error(std::string("TestClient: ") + what + " did not end in time");
  task.take();
}

std::string TestWorker::make_head(std::string_view method, std::string_view target, std::string_view body,
                                  const TestClient::Headers& headers) const {
  std::string head;
  head.append(method).append(" ").append(target).append(" HTTP/1.1\r\n");
  if (!has_header(headers, "host")) append_header(head, "Host", "localhost");
  for (const auto& [name, value] : headers) append_header(head, name, value);
  const std::string cookies = cookies_.field_for(target.substr(0, target.find('?')));
  if (!cookies.empty() && !has_header(headers, "cookie")) append_header(head, "Cookie", cookies);
  const bool has_length = has_header(headers, "content-length") || has_header(headers, "transfer-encoding");
  if (!body.empty() && !has_length) append_header(head, "Content-Length", std::to_string(body.size()));
  return head += "\r\n";
}

// --- The loop --------------------------------------------------------------------------------------------------------

void TestWorker::end_turn() {
  runtime_->make_current();
  context_->end_of_turn.run();
  context_->end_of_turn.resume();
  for (std::size_t i = 0; i < peers_.size(); ++i) peers_[i]->turn();
  std::erase_if(peers_, [](const auto& peer) { return !peer->has_connection(); });
  pass_time();
}

void TestWorker::pass_time() {
  const std::uint64_t ticks = (monotonic_ms() - ticked_ms_) / worker::kTickMs;
  if (ticks == 0) return;
  ticked_ms_ += ticks * worker::kTickMs;
  const HttpLimits& limits = config_.http;
  const worker::ConnectionTimeouts timeouts{.header = limits.header_timeout,
                                            .body = limits.body_timeout,
                                            .write = limits.write_timeout,
                                            .keep_alive = limits.keep_alive_timeout,
                                            .linger = kLingerTimeout,
                                            .ping = limits.websocket_ping};
  worker::expire_connections(*context_, ticks, timeouts, Clock::now());
}

bool TestWorker::wait_until(const std::function<bool()>& condition) {
  runtime_->make_current();
  const bool holds = loop_.run_until(timeout_, [&] { return condition() || !fatal_.empty(); });
  throw_if_fatal();
  return holds;
}

// --- Requests --------------------------------------------------------------------------------------------------------

TestResponse TestWorker::request(std::string_view method, std::string_view target, std::string_view body,
                                 const TestClient::Headers& headers, const Enough& enough) {
  throw_if_fatal();
  runtime_->make_current();
  const std::string what = std::string(method) + " " + std::string(target);
  worker::CollectedResponse collected(enough);
  TestResponse response = exchange_once(make_head(method, target, body, headers), body, what, collected);
  keep_cookies(response, target.substr(0, target.find('?')));
  return response;
}

TestResponse TestWorker::exchange_once(std::string head, std::string_view body, const std::string& what,
                                       worker::CollectedResponse& collected) {
  Exchange& exchange = context_->exchanges.open({.owner = collected, .peer = peer_, .state = state_.get()});
  exchange.head_bytes = std::move(head);
  // On the way out, also by an exception: the producer of a stream may still use the request, and the handler's
  // coroutine may be suspended in `collected`.
  const auto clear = [this, &exchange](worker::CollectedResponse* response) {
    response->leave();
    context_->exchanges.close(exchange);
  };
  const std::unique_ptr<worker::CollectedResponse, decltype(clear)> cleared(&collected, clear);
  const auto scan = worker::scan_head(exchange.head_bytes, 0, std::string_view::npos);
  worker::Refusal refusal{400, "malformed request head"};
  if (scan.state == worker::HeadScan::State::complete && scan.position == exchange.head_bytes.size()) {
    refusal = worker::parse_head(exchange.head_bytes, scan.first_line, config_.http, exchange.head);
  }
  if (refusal.status == 0 && !body.empty()) exchange.body.begin(exchange.head.content_length.value_or(0));
  if (refusal.status != 0) {
    application_->refuse(exchange, refusal.status, refusal.reason);
  } else {
    application_->handle(exchange);
  }
  if (refusal.status == 0 && !body.empty() && !exchange.responded) {
    if (exchange.body.has_room_for(body.size())) {
      exchange.body.push(body);
      if (!exchange.responded) exchange.body.finish();
    } else {
      exchange.body.fail(413, "the body is larger than this route accepts");
    }
  }
  loop_.run_until(timeout_, [&] {
    if (!exchange.responded && Clock::now() >= exchange.deadline) application_->deadline_passed(exchange);
    return collected.complete() || !fatal_.empty();
  });
  throw_if_fatal();
  if (!collected.complete()) {
    throw std::runtime_error("TestClient: " + what + ": no answer within " + std::to_string(timeout_.count()) + " ms");
  }
  return collected.take();
}

// --- WebSockets ------------------------------------------------------------------------------------------------------

std::unique_ptr<TestSocketState> TestWorker::websocket(std::string_view target, const TestClient::Headers& headers) {
  throw_if_fatal();
  runtime_->make_current();
  TestClient::Headers all = headers;
  for (const auto& [name, value] : kHandshake) {
    if (!has_header(headers, name)) all.emplace_back(name, value);
  }
  worker::CollectedResponse collected;
  TestResponse response =
      exchange_once(make_head("GET", target, {}, all), {}, "WebSocket " + std::string(target), collected);
  keep_cookies(response, target.substr(0, target.find('?')));
  auto socket = std::make_unique<TestSocketState>(*this, std::move(response), nullptr);
  if (auto upgrade = collected.take_upgrade()) {
    const bool compressed = socket->response.header("Sec-WebSocket-Extensions").starts_with("permessage-deflate");
    socket->peer = std::make_shared<worker::SocketPeer>(*context_, peer_, std::move(upgrade), compressed);
    peers_.push_back(socket->peer);
    const auto is_in_topics = [this, &peer = *socket->peer] {
      return peer.closing() || peer.knows_places() || row_->redis_state.load() == RedisState::down;
    };
    static_cast<void>(wait_until(is_in_topics));
  }
  return socket;
}

// Without their close handlers.
void TestWorker::end_sockets() {
  for (const auto& peer : peers_) peer->abandon();
  if (context_) context_->end_of_turn.run();
  for (const auto& peer : std::exchange(peers_, {})) peer->turn();
}

void TestWorker::keep_cookies(const TestResponse& response, std::string_view path) {
  for (const auto& [name, value] : response.headers) {
    if (worker::equal_ignoring_case(name, "set-cookie")) cookies_.store(value, path);
  }
}

}  // namespace pronghorn::detail
