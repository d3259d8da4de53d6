// HTTP/2 clients that send or read slowly, without a socket.
#include <string>
#include <vector>

#include "pronghorn/response.h"
#include "support/catch.h"
#include "unit/worker/http2/test_http2.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using namespace std::chrono_literals;
using test::Http2Client;

namespace {

void answer_megabyte(Exchange& exchange) { exchange.owner->respond(exchange, text(std::string(1'000'000, 'x'))); }

// Opens the window of `stream` by so many bytes in each of `seconds`; stops when `watched` has ended.
void dribble(TestHttp2& test, std::int32_t stream, std::int32_t bytes, int seconds, std::int32_t watched) {
  for (int i = 0; i < seconds && !test.client().answer(watched).closed; ++i) {
    test.client().widen(stream, bytes);
    test.run();
    test.pass(1s);
    test.run();
  }
}

}  // namespace

TEST_CASE("a body that does not come is answered 408", "[http2][limits]") {
  TestHttp2 test([](Exchange& exchange) {
    const auto read = [](Exchange& of) -> Task<void> {
      try {
        static_cast<void>(co_await of.request.body());
      } catch (const HttpError& error) {
        of.owner->respond(of, problem(error.status()));
      }
    };
    exchange.running = read(exchange);
    exchange.running.start();
  });
  const auto stream = test.client().request("POST", "/", {}, {}, true);
  test.run();
  test.pass(1750ms);
  CHECK(test.client().answer(stream).status == 0);
  test.pass(500ms);
  test.run();
  CHECK(test.client().answer(stream).status == 408);
  CHECK(test.count(Count::limit_body_time) == 1);
}

TEST_CASE("a response that its client's window does not take is reset after write_timeout", "[http2][limits]") {
  TestHttp2 test([](Exchange& exchange) { exchange.owner->respond(exchange, text(std::string(1'000'000, 'x'))); },
                 TestHttp2::quick_config(), {.window = 0, .reads_bodies = false});
  const auto stream = test.client().request("GET", "/");
  test.run();
  test.pass(2750ms);
  test.run();
  CHECK_FALSE(test.client().answer(stream).closed);
  test.pass(500ms);
  test.run();
  CHECK(test.client().answer(stream).error == NGHTTP2_CANCEL);
  CHECK(test.count(Count::limit_write_time) == 1);
  CHECK(test.count(Count::lost_cut) == 1);
  CHECK(test.open());
}

// A window that opens by a few bytes now and then kept a response, and its memory, for as long as the client liked.
TEST_CASE("a response whose client's window opens byte by byte is reset like one whose window stays closed",
          "[http2][limits]") {
  TestHttp2 test(answer_megabyte, TestHttp2::quick_config(), {.window = 0, .reads_bodies = false});
  const auto stream = test.client().request("GET", "/");
  dribble(test, stream, 10, 10, stream);
  CHECK(test.client().answer(stream).error == NGHTTP2_CANCEL);
  CHECK(test.count(Count::limit_write_time) == 1);
  CHECK(test.count(Count::lost_cut) == 1);
  CHECK(test.open());
}

TEST_CASE("a response that is read slowly but steadily is not reset", "[http2][limits]") {
  Config config = TestHttp2::quick_config();
  SECTION("faster than min_receive_rate") {}
  SECTION("where min_receive_rate accepts any rate") { config.http.min_receive_rate = 0; }
  TestHttp2 test(answer_megabyte, config, {.window = 0, .reads_bodies = false});
  const auto stream = test.client().request("GET", "/");
  dribble(test, stream, config.http.min_receive_rate == 0 ? 1 : 600, 100, stream);
  CHECK_FALSE(test.client().answer(stream).closed);
  test.client().widen(stream, 1'000'000);
  test.client().widen(0, 1'000'000);
  test.run();
  CHECK(test.client().answer(stream).body.size() == 1'000'000);
  CHECK(test.count(Count::limit_write_time) == 0);
}

TEST_CASE("a connection whose window opens byte by byte loses its responses, and one that goes on does not",
          "[http2][limits]") {
  TestHttp2 test(answer_megabyte, TestHttp2::quick_config(), {.window = 2'000'000, .reads_bodies = false});
  const auto first = test.client().request("GET", "/");
  const auto second = test.client().request("GET", "/");
  test.run();
  SECTION("byte by byte") {
    dribble(test, 0, 10, 10, first);
    test.run();
    CHECK(test.client().answer(first).error == NGHTTP2_CANCEL);
    CHECK(test.client().answer(second).error == NGHTTP2_CANCEL);
    CHECK(test.count(Count::lost_cut) == 2);
  }
  SECTION("slowly: one response waits for the other") {
    dribble(test, 0, 20'000, 100, second);
    CHECK(test.client().answer(first).complete);
    CHECK(test.client().answer(second).complete);
  }
}

// Each stream has a response: without a limit of them together, one connection could hold a hundred.
TEST_CASE("requests wait while the client leaves too much of its responses", "[http2][limits]") {
  int executed = 0;
  TestHttp2 test(
      [&executed](Exchange& exchange) {
        ++executed;
        answer_megabyte(exchange);
      },
      TestHttp2::quick_config(), {.window = 0, .reads_bodies = false});
  test.run();
  std::vector<std::int32_t> streams;
  for (int i = 0; i < 100; ++i) streams.push_back(test.client().request("GET", "/"));
  test.run();
  CHECK(executed == 3);  // one of any size, one that is within the limit, and one more
  CHECK(test.count(Count::in_flight) == 3);
  CHECK(test.count(Count::limit_queued_output) == 1);
  SECTION("until it takes them") {
    test.client().widen(0, 200'000'000);
    for (const std::int32_t stream : streams) {
      test.client().widen(stream, 1'000'000);
      test.run();
    }
    test.run();
    CHECK(executed == 100);
    CHECK(test.count(Count::requests) == 100);
    CHECK(test.client().answer(streams.back()).body.size() == 1'000'000);
  }
  SECTION("until those are reset, because it does not") {
    test.pass(3250ms);
    test.run();
    CHECK(test.count(Count::lost_cut) == 3);
    CHECK(executed == 6);
  }
  SECTION("and are forgotten when it cancels them") {
    for (std::size_t i = 3; i < streams.size(); ++i) test.client().reset(streams[i]);
    test.run();
    CHECK(test.count(Count::lost_client_left) == 97);
    test.client().reset(streams[0]);
    test.run();
    CHECK(executed == 3);
  }
  SECTION("or are cut with their connection") {
    test.connection().close();
    CHECK(test.count(Count::lost_cut) == 100);
  }
  CHECK(test.open() == (test.count(Count::lost_cut) != 100));
}

TEST_CASE("one large response that is read slowly keeps no other request waiting", "[http2][limits]") {
  TestHttp2 test(
      [](Exchange& exchange) {
        if (exchange.head.path == "/hello") return answer_hello(exchange);
        exchange.owner->respond(exchange, text(std::string(5'000'000, 'x')));
      },
      TestHttp2::quick_config(), {.window = 100, .reads_bodies = false});
  test.client().request("GET", "/");
  test.run();
  CHECK(test.ask("GET", "/hello").body == "hello");
}

TEST_CASE("a client that does not read from its socket is disconnected", "[http2][limits]") {
  TestHttp2 test(answer_hello);
  test.run();
  test.client().request("GET", "/");
  test.stream().set_room(0);
  test.stream().acknowledge(0);
  test.stream().send(test.client().output());
  test.pass(3250ms);
  CHECK_FALSE(test.open());
  CHECK(test.count(Count::limit_write_time) == 1);
}

// nghttp2 queues a reset for each, and a client that does not acknowledge SETTINGS may open more streams than it is told.
TEST_CASE("refusals that a client does not read end the connection", "[http2][limits]") {
  Config config = TestHttp2::quick_config();
  config.http.max_streams = 3;
  TestHttp2 test(never_answer, config);
  test.stream().set_room(0);
  test.stream().send(test.client().output());
  int sent = 0;
  for (std::uint32_t id = 1; test.open() && test.count(Count::limit_control_frames) == 0 && sent < 20'000; id += 2) {
    test.stream().send(
        Http2Client::frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id, kGetBlock));
    test.end_turn();
    ++sent;
  }
  CHECK(sent < 2'000);
}

// Handlers that wait run side by side: nothing kept their responses from piling up for write_timeout.
TEST_CASE("responses that pile up are given up when the client takes nothing for two seconds", "[http2][limits]") {
  Config config = TestHttp2::quick_config();
  config.http.write_timeout = GENERATE(Milliseconds(30'000), Milliseconds(0));
  std::vector<Exchange*> running;
  TestHttp2 test([&running](Exchange& exchange) { running.push_back(&exchange); }, config,
                 {.window = 0, .reads_bodies = false});
  test.run();
  std::vector<std::int32_t> streams;
  for (int i = 0; i < 20; ++i) streams.push_back(test.client().request("GET", "/"));
  test.run();
  const auto answer_all = [&] {
    for (Exchange* const exchange : running) answer_megabyte(*exchange);
    test.run();
    REQUIRE(test.count(Count::in_flight) == 20);
  };
  SECTION("because their windows are closed") {
    answer_all();
    test.pass(1500ms);
    test.run();
    CHECK(test.count(Count::in_flight) == 20);
    test.pass(5000ms);
    test.run();
    CHECK(test.count(Count::in_flight) == 3);  // as when each begins only after the one before was answered
    CHECK(test.count(Count::lost_cut) == 17);
    CHECK(test.count(Count::limit_write_time) == 17);
    CHECK(test.client().answer(streams[19]).error == NGHTTP2_CANCEL);
    CHECK_FALSE(test.client().answer(streams[0]).closed);
    CHECK(test.open());
  }
  SECTION("because the window of the connection is closed") {
    for (const std::int32_t stream : streams) test.client().widen(stream, 1'000'000);
    test.run();
    answer_all();
    test.pass(5000ms);
    test.run();
    CHECK(test.count(Count::in_flight) <= 3);
    CHECK(test.open());
  }
  SECTION("because it does not read the socket") {
    test.client().widen(0, 200'000'000);
    for (const std::int32_t stream : streams) test.client().widen(stream, 1'000'000);
    test.run();
    test.stream().set_room(0);
    answer_all();
    test.pass(5000ms);
    CHECK_FALSE(test.open());
    CHECK(test.count(Count::in_flight) == 0);
  }
  SECTION("not when it takes them, late as it may be") {
    answer_all();
    test.pass(1500ms);
    test.client().widen(0, 200'000'000);
    for (const std::int32_t stream : streams) test.client().widen(stream, 1'000'000);
    test.run();
    CHECK(test.count(Count::in_flight) == 0);
    CHECK(test.count(Count::requests) == 20);
  }
}
