#include "worker/admin/admin_handler.h"

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>

#include "support/catch.h"
#include "unit/common/ipc/board_fixture.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using nlohmann::json;

namespace {

class Application final : public RequestHandler {
 public:
  void handle(Exchange& exchange) noexcept override {
    ++requests;
    exchange.owner->respond(exchange, Response(404));
  }
  void deadline_passed(Exchange&) noexcept override { ++deadlines; }
  void refuse(Exchange&, int, std::string_view) noexcept override {}
  int requests = 0;
  int deadlines = 0;
};

class Recipient final : public ExchangeOwner {
 public:
  void respond(Exchange&, Response&& answer) override { response = std::move(answer); }
  void want_body(Exchange&) override {}
  std::optional<Response> response;
};

struct Peers {
  Peer loopback{{"127.0.0.1", 5000}, true, false};
  Peer unix_socket{{"unix", 0}, true, false};
  Peer office{{"10.1.2.3", 5000}, false, false};
  Peer stranger{{"203.0.113.9", 5000}, false, false};
};

struct Fixture {
  Fixture() { config.admin_networks = {"127.0.0.0/8", "::1/128", "10.0.0.0/8"}; }

  Response ask(const Peer& peer, std::string_view method, std::string_view path,
               std::initializer_list<Header> fields = {}) {
    AdminHandler handler(config, board, row, application, [this] { return readiness; });
    Recipient client;
    Exchange exchange;
    exchange.owner = &client;
    exchange.peer = &peer;
    exchange.head.method = method;
    exchange.head.path = path;
    for (const Header& field : fields) exchange.head.fields[exchange.head.field_count++] = field;
    exchange.head.known[static_cast<std::size_t>(KnownHeader::host)] = static_cast<int16_t>(exchange.head.field_count);
    exchange.head.fields[exchange.head.field_count++] = {"Host", host};
    handler.handle(exchange);
    REQUIRE(client.response.has_value());
    return std::move(*client.response);
  }
  Response get(std::string_view path, std::initializer_list<Header> fields = {}) {
    return ask(peers.loopback, "GET", path, fields);
  }

  void ask_for_status(Exchange& exchange, Recipient& client) const {
    exchange.owner = &client;
    exchange.peer = &peers.loopback;
    exchange.head.method = "GET";
    exchange.head.path = "/status";
    exchange.head.authority = "localhost";
  }

  Config config;
  std::string host = "localhost:8080";
  Scoreboard board = make_board();
  WorkerRow& row = board.worker(0, 0);
  Application application;
  Readiness readiness{true, true, false};
  Peers peers;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "the server says that it is alive") {
  const Response response = get("/health");
  CHECK(response.status() == 200);
  CHECK(response.body() == R"({"status":"alive"})");
  CHECK(application.requests == 0);
}

TEST_CASE_METHOD(Fixture, "a ready server says so") {
  const Response response = get("/ready");
  CHECK(response.status() == 200);
  CHECK(json::parse(response.body()) == json{{"ready", true}, {"reasons", json::array()}});
}

TEST_CASE_METHOD(Fixture, "a server that should get no traffic says why") {
  readiness = {false, false, true};
  const Response response = get("/ready");
  CHECK(response.status() == 503);
  const json body = json::parse(response.body());
  CHECK(body["ready"] == false);
  CHECK(body["reasons"].size() == 3);
  readiness = {true, true, true};
  CHECK(json::parse(get("/ready").body())["reasons"] == json({"the server is draining"}));
  readiness = {true, false, false};
  CHECK(json::parse(get("/ready").body())["reasons"] == json({"Redis cannot be reached or refuses writes"}));
}

TEST_CASE_METHOD(Fixture, "the status is JSON for programs") {
  const Response response = get("/status");
  CHECK(response.status() == 200);
  CHECK(response.content_type().starts_with("application/json"));
  CHECK(json::parse(response.body())["totals"]["requests"] == 37);
  CHECK(response.header("Vary") == "Accept");
  CHECK(response.header("Cache-Control") == "no-store");
}

TEST_CASE_METHOD(Fixture, "the status is a page for browsers, whose policy lets only its own script run") {
  const Header accept{"Accept", "text/html,*/*;q=0.8"};
  const Response response = get("/status", {accept});
  CHECK(response.content_type() == "text/html; charset=utf-8");
  CHECK(response.header("Vary") == "Accept");
  const std::string policy(response.header("Content-Security-Policy").value_or(""));
  CHECK(policy.starts_with("default-src 'none'"));
  CHECK(policy.find("unsafe") == std::string::npos);
  const std::string& page = response.body();
  const std::size_t at = page.find("<script nonce=\"");
  REQUIRE(at != std::string::npos);
  const std::string nonce = page.substr(at + 15, 32);
  CHECK(policy.find("script-src 'nonce-" + nonce + "'") != std::string::npos);
  CHECK(page.find("http://") == std::string::npos);
  CHECK(page.find("https://") == std::string::npos);
  CHECK(page.find("innerHTML") == std::string::npos);
  CHECK(get("/status", {accept}).body() != page);
}

// The page counted itself: an idle server showed one request per second.
TEST_CASE_METHOD(Fixture, "the polling of the status page is no traffic, and not in flight") {
  AdminHandler handler(config, board, row, application, [] { return Readiness{}; });
  Recipient client;
  Exchange exchange;
  const auto in_flight = [&client] {
    return json::parse(client.response->body()).at("totals").at("in_flight").get<std::uint64_t>();
  };
  ask_for_status(exchange, client);
  handler.handle(exchange);
  CHECK(exchange.counted);
  const std::uint64_t all = in_flight();

  exchange.head.query = "poll&history=1h";
  handler.handle(exchange);
  CHECK_FALSE(exchange.counted);
  CHECK(json::parse(client.response->body()).contains("history"));
  CHECK(in_flight() == all - 1);
  CHECK(row[Count::in_flight] == 2);  // as before
}

TEST_CASE_METHOD(Fixture, "a history without a duration is refused") {
  AdminHandler handler(config, board, row, application, [] { return Readiness{}; });
  for (const char* query : {"history=", "history=1", "history=h", "history=1x", "history=99d", "a=b&history=-1h"}) {
    CAPTURE(query);
    Recipient client;
    Exchange exchange;
    ask_for_status(exchange, client);
    exchange.head.query = query;
    handler.handle(exchange);
    CHECK(client.response->status() == 400);
    CHECK(client.response->body().find("s, m or h, such as 10m; the last hour is kept") != std::string::npos);
  }
}

TEST_CASE_METHOD(Fixture, "the metrics are in the Prometheus text format") {
  const Response response = get("/metrics");
  CHECK(response.status() == 200);
  CHECK(response.content_type().starts_with("text/plain; version=0.0.4"));
  CHECK(response.body().find("pronghorn_requests_total{slot=\"0\"} 30\n") != std::string::npos);
}

TEST_CASE_METHOD(Fixture, "the endpoints answer loopback, Unix sockets and the configured networks") {
  CHECK(ask(peers.loopback, "GET", "/status").status() == 200);
  CHECK(ask(peers.unix_socket, "GET", "/status").status() == 200);
  CHECK(ask(peers.office, "GET", "/status").status() == 200);
  CHECK(application.requests == 0);
}

// A proxy on the same machine that sets no forwarding field, and a page in a local browser that has rebound its name.
TEST_CASE_METHOD(Fixture, "figures are told to loopback and Unix sockets only under a local Host") {
  for (const char* foreign : {"shop.example", "shop.example:8080", "192.0.2.7", "[2001:db8::7]",
                              "localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost", ""}) {
    CAPTURE(foreign);
    host = foreign;
    for (const Peer& peer : {peers.loopback, peers.unix_socket}) {
      CHECK(ask(peer, "GET", "/status").status() == 404);
      CHECK(ask(peer, "GET", "/metrics").status() == 404);
      CHECK(ask(peer, "GET", "/health").status() == 200);
      CHECK(ask(peer, "GET", "/ready").status() == 200);
    }
    CHECK(ask(peers.office, "GET", "/status").status() == 200);
  }
  for (const char* local :
       {"localhost", "LocalHost:80", "127.0.0.1", "127.0.0.1:8080", "127.1.2.3", "[::1]", "[::1]:80"}) {
    CAPTURE(local);
    host = local;
    CHECK(ask(peers.loopback, "GET", "/status").status() == 200);
    CHECK(ask(peers.unix_socket, "GET", "/metrics").status() == 200);
  }
}

TEST_CASE_METHOD(Fixture, "to strangers the endpoints look like any path of the application") {
  for (const char* path : {"/health", "/ready", "/status", "/metrics"}) {
    CHECK(ask(peers.stranger, "GET", path).status() == 404);
  }
  CHECK(ask(peers.stranger, "POST", "/status").status() == 404);
  CHECK(application.requests == 5);
}

TEST_CASE_METHOD(Fixture, "a request that a proxy passed on is a stranger's, wherever the proxy is") {
  for (const char* name : {"X-Forwarded-For", "x-forwarded-host", "Forwarded", "X-Real-IP", "Via"}) {
    INFO(name);
    CHECK(ask(peers.loopback, "GET", "/status", {{name, "127.0.0.1"}}).status() == 404);
    CHECK(ask(peers.office, "GET", "/status", {{name, "127.0.0.1"}}).status() == 404);
  }
  CHECK(ask(peers.loopback, "GET", "/status", {{"X-Forward", "x"}, {"X", "y"}}).status() == 200);
}

TEST_CASE_METHOD(Fixture, "a client that a trusted proxy names sees the endpoints when its own network may") {
  const Networks trusted({"127.0.0.1"});
  Peer proxy = peers.loopback;
  proxy.trusted_proxies = &trusted;
  const auto status = [&](std::initializer_list<Header> fields) {
    return ask(proxy, "GET", "/status", fields).status();
  };
  CHECK(status({{"X-Forwarded-For", "10.1.2.3"}}) == 200);
  CHECK(status({{"X-Forwarded-For", "10.1.2.3"}, {"Via", "1.1 proxy"}}) == 200);
  CHECK(status({{"Forwarded", "for=10.1.2.3"}}) == 404);
  proxy.sends_forwarded = true;
  CHECK(status({{"Forwarded", "for=10.1.2.3"}}) == 200);
  CHECK(status({{"X-Forwarded-For", "10.1.2.3"}}) == 404);
  proxy.sends_forwarded = false;
  CHECK(status({{"X-Forwarded-For", "10.1.2.3, 203.0.113.9"}}) == 404);
  CHECK(status({{"X-Forwarded-For", "oops"}}) == 404);
  CHECK(status({{"X-Forwarded-For", "unknown"}}) == 404);
  CHECK(status({{"Via", "1.1 proxy"}}) == 404);  // a proxy that does not say for whom
  CHECK(status({{"X-Real-IP", "10.1.2.3"}}) == 404);
  CHECK(status({{"X-Forwarded-For", "127.0.0.1"}}) == 404);  // passed through as the client wrote it
  CHECK(status({{"Forwarded", "for=10.1.2.3"}, {"X-Forwarded-For", "10.1.2.3"}}) == 404);
  CHECK(status({}) == 200);
}

TEST_CASE_METHOD(Fixture, "a method other than GET and HEAD is refused with those that work") {
  const Response response = ask(peers.loopback, "DELETE", "/status");
  CHECK(response.status() == 405);
  CHECK(response.header("Allow") == "GET, HEAD");
  CHECK(ask(peers.loopback, "HEAD", "/status").status() == 200);
}

TEST_CASE_METHOD(Fixture, "every other path is the application's") {
  for (const char* path : {"/", "", "/statu", "/statuses", "/status/", "/Status", "/%73tatus"}) {
    CHECK(get(path).status() == 404);
  }
  CHECK(application.requests == 7);
}

TEST_CASE_METHOD(Fixture, "endpoints can be moved and switched off") {
  config.status_path = "/internal/status";
  config.metrics_path = "";
  CHECK(get("/internal/status").status() == 200);
  CHECK(get("/status").status() == 404);
  CHECK(get("/metrics").status() == 404);
  CHECK(get("").status() == 404);
}

TEST_CASE_METHOD(Fixture, "a network that is none ends the start") {
  config.admin_networks = {"everywhere"};
  CHECK_THROWS_AS(AdminHandler(config, board, row, application, [] { return Readiness{}; }), std::invalid_argument);
}

TEST_CASE_METHOD(Fixture, "a deadline that passed is the application's business") {
  AdminHandler handler(config, board, row, application, [] { return Readiness{}; });
  Exchange exchange;
  handler.deadline_passed(exchange);
  CHECK(application.deadlines == 1);
}
