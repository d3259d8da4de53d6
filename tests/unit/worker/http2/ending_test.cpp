// How an HTTP/2 connection ends, without a socket.
#include <coroutine>
#include <string>
#include <utility>
#include <vector>

#include "pronghorn/response.h"
#include "support/catch.h"
#include "unit/worker/http2/test_http2.h"
#include "worker/http/response_access.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using namespace std::chrono_literals;

namespace {

constexpr std::int32_t kEverything = 0x7fffffff;

}  // namespace

TEST_CASE("a connection that begins while its worker drains is served its first request", "[http2][drain]") {
  TestHttp2 test(answer_hello);
  test.context().draining = true;
  test.connection().drain(false);
  test.run();
  CHECK(test.goaways().empty());
  CHECK(test.ask("GET", "/").status == 200);
  CHECK_FALSE(test.goaways().empty());
}

TEST_CASE("a draining worker announces the end of a connection before it refuses requests", "[http2][drain]") {
  TestHttp2 test(answer_hello);
  CHECK(test.ask("GET", "/").status == 200);
  test.context().draining = true;
  test.connection().drain(false);
  // What the client sends before it has received that.
  const auto late = test.client().request("GET", "/");
  test.stream().send(test.client().output());
  test.run();
  test.acknowledge_ping();
  CHECK(test.client().answer(late).status == 200);
  REQUIRE(test.goaways().size() == 2);
  CHECK(test.goaways()[0].last_stream == kEverything);
  CHECK(test.goaways()[0].error == NGHTTP2_NO_ERROR);
  CHECK(test.goaways()[1].last_stream == late);
  CHECK(test.goaways()[1].error == NGHTTP2_NO_ERROR);
  CHECK(test.stream().fin_sent());
  test.stream().finish_sending();
  CHECK_FALSE(test.open());
  CHECK(test.count(Count::lost_client_left) == 0);
}

TEST_CASE("requests that run when the worker drains are answered", "[http2][drain]") {
  std::vector<Exchange*> waiting;
  TestHttp2 test([&waiting](Exchange& exchange) { waiting.push_back(&exchange); });
  const auto stream = test.client().request("GET", "/");
  test.run();
  test.context().draining = true;
  test.connection().drain(true);
  test.run();  // with a stream, nghttp2 acknowledges the PING
  CHECK(test.goaways().size() == 2);
  CHECK_FALSE(test.stream().fin_sent());
  waiting[0]->owner->respond(*waiting[0], text("hello"));
  test.run();
  CHECK(test.client().answer(stream).body == "hello");
  CHECK(test.stream().fin_sent());
}

TEST_CASE("a client that does not acknowledge the announcement is not waited for", "[http2][drain]") {
  TestHttp2 test(answer_hello);
  CHECK(test.ask("GET", "/").status == 200);
  test.connection().drain(true);
  test.end_turn();
  test.receive();
  CHECK(test.goaways().size() == 1);
  test.pass(TestHttp2::kLinger + 250ms);
  test.receive();
  CHECK(test.goaways().size() == 2);
  CHECK(test.stream().fin_sent());
  test.pass(TestHttp2::kLinger + 250ms);
  CHECK_FALSE(test.open());
}

TEST_CASE("streams without an end are ended when the worker drains, over HTTP/2 as well", "[http2][drain]") {
  struct Never {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    void await_resume() const noexcept {}
  };
  TestHttp2 test([](Exchange& exchange) {
    Response response = stream("text/event-stream", [](Writer& writer) -> Task<void> {
      co_await writer.write("data: first\n\n");
      Never never;
      co_await never;
    });
    ResponseAccess::ends_on_drain(response) = true;
    exchange.owner->respond(exchange, std::move(response));
  });
  const auto stream = test.client().request("GET", "/");
  test.run();
  CHECK_FALSE(test.client().answer(stream).complete);
  test.context().draining = true;
  test.connection().drain(false);
  test.run();
  test.acknowledge_ping();
  CHECK(test.client().answer(stream).complete);
  CHECK(test.client().answer(stream).body == "data: first\n\n");
  CHECK(test.stream().fin_sent());
}

TEST_CASE("an idle HTTP/2 connection ends after keep_alive_timeout", "[http2]") {
  TestHttp2 test(answer_hello);
  CHECK(test.ask("GET", "/").status == 200);
  test.pass(3750ms);
  CHECK(test.goaways().empty());
  test.send_raw(test::Http2Client::frame(NGHTTP2_PING, 0, 0, "12345678"));  // says nothing of a request
  test.pass(500ms);
  test.run();
  test.acknowledge_ping();
  CHECK(test.goaways().size() == 2);
  CHECK(test.stream().fin_sent());
  CHECK(test.count(Count::limit_keep_alive_time) == 1);
  CHECK(test.count(Count::timeouts) == 0);
}

TEST_CASE("an HTTP/2 connection ends after keep_alive_requests", "[http2]") {
  Config config = TestHttp2::quick_config();
  config.http.keep_alive_requests = 3;
  TestHttp2 test(answer_hello, config);
  CHECK(test.ask("GET", "/").status == 200);
  CHECK(test.ask("GET", "/").status == 200);
  CHECK(test.goaways().empty());
  CHECK(test.ask("GET", "/").status == 200);
  test.acknowledge_ping();
  CHECK(test.goaways().size() == 2);
  CHECK(test.stream().fin_sent());
  CHECK(test.count(Count::limit_keep_alive_requests) == 1);
}

TEST_CASE("what a client sends behind the end of an HTTP/2 connection is dropped", "[http2]") {
  TestHttp2 test(answer_hello);
  test.run();
  test.send_raw(test::Http2Client::frame(NGHTTP2_DATA, 0, 0, "on stream zero"));
  REQUIRE(test.goaways().size() == 1);
  CHECK(test.goaways()[0].error == NGHTTP2_PROTOCOL_ERROR);
  CHECK(test.stream().fin_sent());
  CHECK(test.open());
  test.stream().send("more");
  CHECK(test.open());
  test.pass(TestHttp2::kLinger + 250ms);
  CHECK_FALSE(test.open());
}

TEST_CASE("what is not HTTP/2 ends with an error", "[http2]") {
  TestHttp2 test(answer_hello);
  test.stream().send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
  test.end_turn();
  CHECK(test.stream().fin_sent());
  CHECK(test.count(Count::bad_requests) == 1);
}
