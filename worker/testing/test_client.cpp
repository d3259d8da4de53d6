#include <uv.h>

#include <algorithm>
#include <csignal>
#include <optional>
#include <stdexcept>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "common/log.h"
#include "pronghorn/error.h"
#include "pronghorn/testing.h"
#include "worker/fields/text.h"
#include "worker/http/exchange_pool.h"
#include "worker/http1/parser/head_guard.h"
#include "worker/http1/parser/head_parser.h"
#include "worker/http1/response_head.h"
#include "worker/routing/application.h"
#include "worker/runtime/exception_text.h"
#include "worker/runtime/runtime.h"
#include "worker/state/state_services.h"
#include "worker/testing/collected_response.h"
#include "worker/testing/cookie_jar.h"
#include "worker/testing/test_events.h"

namespace pronghorn {

namespace {

using Clock = std::chrono::steady_clock;

bool has_header(const TestClient::Headers& headers, std::string_view name) {
  return std::any_of(headers.begin(), headers.end(),
                     [name](const auto& header) { return worker::equal_ignoring_case(header.first, name); });
}

void append_header(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ").append(value).append("\r\n");
}

// A loop that is closed when everything on it has let go.
class Loop {
 public:
  Loop() {
    if (const int error = uv_loop_init(&loop_); error != 0) {
      throw std::runtime_error(std::string("TestClient: no loop: ") + uv_strerror(error));
    }
    uv_timer_init(&loop_, &tick_);
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop() {
    uv_close(reinterpret_cast<uv_handle_t*>(&tick_), nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_loop_close(&loop_);
  }
  uv_loop_t* get() noexcept { return &loop_; }

  // Turns until the condition holds; false when `limit` has passed before.
  template <class Condition>
  bool run_until(std::chrono::milliseconds limit, Condition condition) {
    const auto give_up = Clock::now() + limit;
    uv_timer_start(&tick_, [](uv_timer_t*) {}, 1, 2);
    while (!condition() && Clock::now() < give_up) uv_run(&loop_, UV_RUN_ONCE);
    uv_timer_stop(&tick_);
    return condition();
  }

 private:
  uv_loop_t loop_{};
  uv_timer_t tick_{};  // so that a turn in which nothing happens ends too
};

Config make_config(const TestOptions& options) {
  Config config;
  config.name = "test";
  config.redis = options.redis;
  config.app_settings.insert(options.settings.begin(), options.settings.end());
  return config;
}

}  // namespace

class TestClient::Implementation final : public Worker {
 public:
  using Enough = worker::CollectedResponse::Enough;

  Implementation(void (*setup)(App&), const TestOptions& options);
  Implementation(const Implementation&) = delete;
  Implementation& operator=(const Implementation&) = delete;
  ~Implementation() override;

  // Returns early when `enough` says so of the body.
  TestResponse request(std::string_view method, std::string_view target, std::string_view body, const Headers& headers,
                       const Enough& enough = {});
  void clear_cookies() noexcept { cookies_.clear(); }

  // Worker
  [[nodiscard]] unsigned slot() const noexcept override { return 0; }
  [[nodiscard]] unsigned generation() const noexcept override { return 1; }
  [[nodiscard]] Redis redis() override {
    if (!state_->redis) throw std::logic_error("this TestClient has no Redis: set TestOptions::redis");
    return Redis(*state_->redis);
  }

 private:
  void run(Task<void> task, const char* what);
  void shut_down() noexcept;
  [[nodiscard]] std::string make_head(std::string_view method, std::string_view target, std::string_view body,
                                      const Headers& headers) const;
  [[nodiscard]] TestResponse exchange_once(std::string head, std::string_view body, const std::string& what,
                                           const Enough& enough);
  void keep_cookies(const TestResponse& response, std::string_view path);
  void throw_if_fatal() const;

  Config config_;
  std::chrono::milliseconds timeout_;
  Loop loop_;  // closed after everything below is gone
  std::unique_ptr<WorkerRow> row_ = std::make_unique<WorkerRow>();
  std::unique_ptr<worker::Application> application_;
  std::unique_ptr<worker::StateServices> state_;
  std::unique_ptr<worker::Runtime> runtime_;  // gone before what its tasks use
  worker::Peer peer_;
  worker::ExchangePool exchanges_;
  worker::CookieJar cookies_;
  std::string fatal_;
};

TestClient::Implementation::Implementation(void (*setup)(App&), const TestOptions& options)
    : config_(make_config(options)), timeout_(options.timeout) {
  if (config_.redis != "none") std::signal(SIGPIPE, SIG_IGN);  // a Redis that goes away must not end the test
  worker::refresh_response_date();
  peer_.client = {"127.0.0.1", 1};
  peer_.loopback = true;
  runtime_ = std::make_unique<worker::Runtime>(loop_.get());
  state_ = std::make_unique<worker::StateServices>(loop_.get(), config_, *row_);
  application_ = std::make_unique<worker::Application>(config_, *row_, setup);
  state_->start([this](std::string reason) { fatal_ = std::move(reason); });
  try {
    run(application_->run_start_hooks(*this), "an on_start hook");
  } catch (...) {
    shut_down();
    throw;
  }
}

TestClient::Implementation::~Implementation() {
  runtime_->make_current();
  try {
    run(application_->run_stop_hooks(*this), "an on_stop hook");
  } catch (...) {
    log_error("TestClient: stopping failed", {{"error", worker::describe(std::current_exception())}});
  }
  shut_down();
}

// Coroutines go first: they hold on to what follows.
void TestClient::Implementation::shut_down() noexcept {
  runtime_.reset();
  state_->close();
}

void TestClient::Implementation::throw_if_fatal() const {
  if (!fatal_.empty()) throw std::runtime_error("TestClient: " + fatal_);
}

void TestClient::Implementation::run(Task<void> task, const char* what) {
  task.start();
  const bool ended = loop_.run_until(timeout_, [&] { return task.done() || !fatal_.empty(); });
  throw_if_fatal();
  if (!ended) throw std::runtime_error(std::string("TestClient: ") + what + " does not end");
  task.take();
}

std::string TestClient::Implementation::make_head(std::string_view method, std::string_view target,
                                                  std::string_view body, const Headers& headers) const {
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

TestResponse TestClient::Implementation::request(std::string_view method, std::string_view target,
                                                 std::string_view body, const Headers& headers, const Enough& enough) {
  throw_if_fatal();
  runtime_->make_current();
  const std::string what = std::string(method) + " " + std::string(target);
  TestResponse response = exchange_once(make_head(method, target, body, headers), body, what, enough);
  keep_cookies(response, target.substr(0, target.find('?')));
  return response;
}

TestResponse TestClient::Implementation::exchange_once(std::string head, std::string_view body, const std::string& what,
                                                       const Enough& enough) {
  worker::CollectedResponse collected(enough);
  worker::Exchange& exchange = exchanges_.open({.owner = collected, .peer = peer_, .state = state_.get()});
  exchange.head_bytes = std::move(head);
  // When we leave, also by an exception, the producer of a stream may use the request still, and the handler's
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
  if (refusal.status != 0) {
    collected.respond(exchange, problem(refusal.status, refusal.reason));
    return collected.take();
  }
  if (!body.empty()) exchange.body.begin(exchange.head.content_length.value_or(0));
  application_->handle(exchange);
  if (!body.empty() && !exchange.responded) {
    if (exchange.body.has_room_for(body.size())) {
      exchange.body.push(body);
      if (!exchange.responded) exchange.body.finish();
    } else {
      exchange.body.fail(413, "the body is larger than allowed here");
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

void TestClient::Implementation::keep_cookies(const TestResponse& response, std::string_view path) {
  for (const auto& [name, value] : response.headers) {
    if (worker::equal_ignoring_case(name, "set-cookie")) cookies_.store(value, path);
  }
}

std::string TestResponse::header(std::string_view name) const {
  for (const auto& [field, value] : headers) {
    if (worker::equal_ignoring_case(field, name)) return value;
  }
  return {};
}

TestClient::TestClient(void (*setup)(App&), const TestOptions& options)
    : implementation_(std::make_unique<Implementation>(setup, options)) {}

TestClient::~TestClient() = default;

TestResponse TestClient::get(std::string_view target, const Headers& headers) {
  return request("GET", target, {}, headers);
}

TestResponse TestClient::post(std::string_view target, std::string_view body, std::string_view content_type,
                              const Headers& headers) {
  Headers all = headers;
  if (!has_header(all, "content-type")) all.emplace_back("Content-Type", content_type);
  return request("POST", target, body, all);
}

TestResponse TestClient::request(std::string_view method, std::string_view target, std::string_view body,
                                 const Headers& headers) {
  return implementation_->request(method, target, body, headers);
}

std::vector<TestEvent> TestClient::events(std::string_view target, std::size_t count, const Headers& headers) {
  const TestResponse response = implementation_->request("GET", target, {}, headers, [count](const std::string& body) {
    return worker::parse_events(body).size() >= count;
  });
  if (response.header("Content-Type") != "text/event-stream") {
    throw std::runtime_error("TestClient: GET " + std::string(target) + " is no stream of events: status " +
                             std::to_string(response.status));
  }
  std::vector<TestEvent> events = worker::parse_events(response.body);
  if (events.size() > count) events.resize(count);
  return events;
}

void TestClient::clear_cookies() { implementation_->clear_cookies(); }

}  // namespace pronghorn
