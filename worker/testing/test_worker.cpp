#include "worker/testing/test_worker.h"

#include <algorithm>
#include <csignal>
#include <stdexcept>
#include <utility>

#include "common/log.h"
#include "worker/fields/text.h"
#include "worker/http1/parser/head_guard.h"
#include "worker/http1/parser/head_parser.h"
#include "worker/http1/response_head.h"
#include "worker/runtime/exception_text.h"
#include "worker/testing/collected_response.h"

namespace pronghorn::detail {

namespace {

using Clock = std::chrono::steady_clock;

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

void TestWorker::client_address(std::string_view address) {
  peer_.client = {std::string(address), 1};
  peer_.loopback = address.starts_with("127.") || address == "::1";
}

// Coroutines first: they may use the application's state and Redis.
void TestWorker::shut_down() noexcept {
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

TestResponse TestWorker::request(std::string_view method, std::string_view target, std::string_view body,
                                 const TestClient::Headers& headers, const Enough& enough) {
  throw_if_fatal();
  runtime_->make_current();
  const std::string what = std::string(method) + " " + std::string(target);
  TestResponse response = exchange_once(make_head(method, target, body, headers), body, what, enough);
  keep_cookies(response, target.substr(0, target.find('?')));
  return response;
}

TestResponse TestWorker::exchange_once(std::string head, std::string_view body, const std::string& what,
                                       const Enough& enough) {
  worker::CollectedResponse collected(enough);
  Exchange& exchange = exchanges_.open({.owner = collected, .peer = peer_, .state = state_.get()});
  exchange.head_bytes = std::move(head);
  // On the way out, also by an exception: the producer of a stream may still use the request, and the handler's
  // coroutine may be suspended in `collected`.
  const auto clear = [this, &exchange](worker::CollectedResponse* response) {
    response->leave();
    exchanges_.close(exchange);
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

void TestWorker::keep_cookies(const TestResponse& response, std::string_view path) {
  for (const auto& [name, value] : response.headers) {
    if (worker::equal_ignoring_case(name, "set-cookie")) cookies_.store(value, path);
  }
}

}  // namespace pronghorn::detail
