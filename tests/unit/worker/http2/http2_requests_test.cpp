// Requests and responses over HTTP/2, without a socket.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "pronghorn/response.h"
#include "support/catch.h"
#include "support/temp_dir.h"
#include "unit/worker/http2/test_http2.h"
#include "worker/http/response_access.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using namespace std::chrono_literals;
using test::Http2Client;

TEST_CASE("a request over HTTP/2 is answered", "[http2]") {
  std::string seen;
  TestHttp2 test([&seen](Exchange& exchange) {
    seen = std::string(exchange.head.method) + " " + std::string(exchange.head.target) + " " +
           std::string(exchange.request.host());
    answer_hello(exchange);
  });
  const auto& response = test.ask("GET", "/path?query=1");
  CHECK(seen == "GET /path?query=1 example.com");
  CHECK(response.status == 200);
  CHECK(response.body == "hello");
  CHECK(response.complete);
  CHECK(response.field("content-length") == "5");
  CHECK(response.field("content-type") == "text/plain; charset=utf-8");
  CHECK(response.field("server") == "pronghorn");
  CHECK(response.field("date"));
  CHECK(response.field("x-request-id"));
  CHECK(test.count(Count::requests) == 1);
  CHECK(test.count(Count::http2_requests) == 1);
  CHECK(test.count(Count::responses_2xx) == 1);
  CHECK(test.count(Count::in_flight) == 0);
}

TEST_CASE("the requests of one HTTP/2 connection run at the same time", "[http2]") {
  std::vector<Exchange*> waiting;
  TestHttp2 test([&waiting](Exchange& exchange) { waiting.push_back(&exchange); });
  const auto first = test.client().request("GET", "/1");
  const auto second = test.client().request("GET", "/2");
  test.run();
  REQUIRE(waiting.size() == 2);
  CHECK(test.count(Count::in_flight) == 2);
  waiting[1]->owner->respond(*waiting[1], text("two"));
  test.run();
  CHECK(test.client().answer(second).body == "two");
  CHECK_FALSE(test.client().answer(first).complete);
  waiting[0]->owner->respond(*waiting[0], text("one"));
  test.run();
  CHECK(test.client().answer(first).body == "one");
}

TEST_CASE("responses of one read leave in one write", "[http2]") {
  TestHttp2 test(answer_hello);
  test.run();
  for (int i = 0; i < 50; ++i) test.client().request("GET", "/");
  const std::string sent = test.client().output();
  test.stream().set_room(0);  // whatever is written waits
  test.stream().send(sent);
  CHECK(test.count(Count::requests) == 50);
  const std::size_t queued = test.stream().queued();
  test.end_turn();
  CHECK(test.stream().queued() == queued);
  test.stream().drain();
  REQUIRE(test.client().input(test.stream().received()));
}

TEST_CASE("a response whose fields are too large for HTTP/2 resets its stream", "[http2]") {
  TestHttp2 test([](Exchange& exchange) {
    if (exchange.head.path == "/other") return answer_hello(exchange);
    exchange.owner->respond(exchange, text("hello").set("X-Large", std::string(100'000, 'x')));
  });
  const auto& response = test.ask("GET", "/");
  CHECK(response.status == 0);
  CHECK(response.error == NGHTTP2_INTERNAL_ERROR);
  CHECK(test.count(Count::lost_cut) == 1);
  CHECK(test.ask("GET", "/other").status == 200);
}

TEST_CASE("HEAD and 204 responses have no body over HTTP/2", "[http2]") {
  TestHttp2 test([](Exchange& exchange) {
    exchange.owner->respond(exchange, exchange.head.path == "/empty" ? Response(204) : text("hello"));
  });
  const auto& head = test.ask("HEAD", "/");
  CHECK(head.complete);
  CHECK(head.field("content-length") == "5");
  CHECK(head.body.empty());
  const auto& empty = test.ask("GET", "/empty");
  CHECK(empty.status == 204);
  CHECK(empty.complete);
  CHECK_FALSE(empty.field("content-length"));
}

TEST_CASE("fields of an HTTP/1 connection do not reach HTTP/2", "[http2]") {
  TestHttp2 test([](Exchange& exchange) {
    exchange.owner->respond(exchange, text("", 426).set("Upgrade", "websocket").set("X-Other", "1"));
  });
  const auto& response = test.ask("GET", "/");
  CHECK(response.status == 426);
  CHECK_FALSE(response.field("upgrade"));
  CHECK(response.field("x-other") == "1");
}

TEST_CASE("early hints are sent as a 103 response", "[http2]") {
  Config config = TestHttp2::quick_config();
  config.early_hints = true;
  TestHttp2 test(
      [](Exchange& exchange) {
        exchange.request.early_hints({"</a.css>; rel=preload"});
        answer_hello(exchange);
      },
      config);
  const auto& response = test.ask("GET", "/");
  CHECK(response.interim == std::vector<int>{103});
  CHECK(response.field("link") == "</a.css>; rel=preload");
  CHECK(response.status == 200);
  CHECK(test.count(Count::responses_1xx) == 1);
}

TEST_CASE("early hints without a link are not sent", "[http2]") {
  Config config = TestHttp2::quick_config();
  config.early_hints = true;
  TestHttp2 test(
      [](Exchange& exchange) {
        exchange.request.early_hints({});
        exchange.request.early_hints({"", " "});
        answer_hello(exchange);
      },
      config);
  CHECK(test.ask("GET", "/").interim.empty());
}

TEST_CASE("a traceparent of the application replaces ours over HTTP/2", "[http2]") {
  TestHttp2 test(
      [](Exchange& exchange) { exchange.owner->respond(exchange, text("hello").set("traceparent", "00-mine")); });
  const auto& response =
      test.ask("GET", "/", {{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}});
  CHECK(std::ranges::count(response.fields, "traceparent", [](const auto& field) { return field.first; }) == 1);
  CHECK(response.field("traceparent") == "00-mine");
}

TEST_CASE("a client that resets a stream cancels its handler", "[http2]") {
  bool destroyed = false;
  struct Notes {
    bool& destroyed;
    explicit Notes(bool& noted) : destroyed(noted) {}
    Notes(const Notes&) = delete;
    Notes& operator=(const Notes&) = delete;
    ~Notes() { destroyed = true; }
  };
  TestHttp2 test([&destroyed](Exchange& exchange) {
    if (exchange.head.path == "/other") return answer_hello(exchange);
    const auto wait = [](Exchange& of, bool& noted) -> Task<void> {
      const Notes notes(noted);
      static_cast<void>(co_await of.request.body());
    };
    exchange.running = wait(exchange, destroyed);
    exchange.running.start();
  });
  const auto stream = test.client().request("POST", "/", {}, {}, true);
  test.run();
  CHECK_FALSE(destroyed);
  test.client().reset(stream);
  test.run();
  CHECK(destroyed);
  CHECK(test.count(Count::lost_client_left) == 1);
  CHECK(test.count(Count::in_flight) == 0);
  CHECK(test.ask("GET", "/other").status == 200);
}

TEST_CASE("a request that is reset within the same read is not executed", "[http2]") {
  int executed = 0;
  TestHttp2 test([&executed](Exchange& exchange) {
    ++executed;
    answer_hello(exchange);
  });
  test.run();
  const auto stream = test.client().request("GET", "/");
  std::string bytes = test.client().output();
  test.client().reset(stream);
  bytes += test.client().output();
  test.stream().send(bytes);
  CHECK(executed == 0);
  CHECK(test.count(Count::lost_client_left) == 1);
}

TEST_CASE("a client that disconnects cancels all its requests", "[http2]") {
  std::vector<Exchange*> waiting;
  TestHttp2 test([&waiting](Exchange& exchange) { waiting.push_back(&exchange); });
  test.client().request("GET", "/");
  test.client().request("GET", "/");
  test.run();
  test.stream().finish_sending();
  test.end_turn();
  CHECK_FALSE(test.open());
  CHECK(test.count(Count::lost_client_left) == 2);
  CHECK(test.count(Count::in_flight) == 0);
}

TEST_CASE("malformed requests reset their stream and not the connection", "[http2]") {
  TestHttp2 test(answer_hello);
  const auto error_of = [&test](const test::Http2Fields& fields) {
    const auto stream = test.client().raw_request(fields);
    test.run();
    const auto& answer_to_it = test.client().answer(stream);
    return answer_to_it.closed && answer_to_it.status == 0 ? answer_to_it.error : 0;
  };
  const test::Http2Fields get{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}};
  const auto with = [&get](const char* name, const char* value) {
    test::Http2Fields fields = get;
    fields.emplace_back(name, value);
    return fields;
  };
  CHECK(error_of(with("connection", "close")) == NGHTTP2_PROTOCOL_ERROR);
  CHECK(error_of(with("transfer-encoding", "chunked")) == NGHTTP2_PROTOCOL_ERROR);
  CHECK(error_of(with("upgrade", "websocket")) == NGHTTP2_PROTOCOL_ERROR);
  CHECK(error_of(with("te", "gzip")) == NGHTTP2_PROTOCOL_ERROR);
  CHECK(error_of(with(":path", "/again")) == NGHTTP2_PROTOCOL_ERROR);
  CHECK(error_of(with("a", "line\nbreak")) == NGHTTP2_PROTOCOL_ERROR);
  CHECK(error_of(with("content-length", "5")) == NGHTTP2_PROTOCOL_ERROR);
  CHECK(error_of({{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}}) == NGHTTP2_PROTOCOL_ERROR);
  CHECK(error_of({{":method", "GET"}, {"b", "c"}, {":scheme", "http"}, {":path", "/"}}) == NGHTTP2_PROTOCOL_ERROR);
  CHECK(test.count(Count::bad_requests) == 9);
  CHECK(test.count(Count::requests) == 0);
  const auto stream = test.client().raw_request(with("te", "trailers"));
  test.run();
  CHECK(test.client().answer(stream).status == 200);
}

TEST_CASE("a request that HTTP/1.1 refuses with 400 gets it over HTTP/2 too", "[http2]") {
  TestHttp2 test(answer_hello);
  const auto& response = test.ask("GET", "/a#b");
  CHECK(response.status == 400);
  CHECK(test.count(Count::bad_requests) == 1);
  CHECK(test.ask("GET", "/").status == 200);
}
