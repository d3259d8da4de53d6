// What an HTTP/2 client may send: each published attack, without a socket.
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

// Sends `frame` up to `most` times, until the server ends the connection. Returns how often.
int flood(TestHttp2& test, const std::string& frame, int most = 20'000) {
  test.run();
  for (int sent = 0; sent < most; ++sent) {
    if (!test.goaways().empty() || !test.open()) return sent;
    test.flood(frame);
  }
  return most;
}

bool was_calmed(TestHttp2& test) {
  test.run();
  const auto& goaways = test.goaways();
  return !goaways.empty() && goaways.back().error == NGHTTP2_ENHANCE_YOUR_CALM;
}

}  // namespace

TEST_CASE("more streams than max_streams are not served", "[http2][limits]") {
  Config config = TestHttp2::quick_config();
  config.http.max_streams = 3;
  TestHttp2 test(never_answer, config);
  test.run();
  CHECK(test.client().settings().at(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS) == 3);
  std::string heads;
  for (std::uint32_t id = 1; id <= 7; id += 2) {
    heads += Http2Client::frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id, kGetBlock);
  }
  test.stream().send(heads);
  test.end_turn();
  CHECK(test.count(Count::limit_streams) == 1);
}

// CVE-2023-44487: requests that are cancelled at once are never "concurrent".
TEST_CASE("rapid resets end the connection", "[http2][limits]") {
  TestHttp2 test(never_answer);
  test.run();
  int sent = 0;
  while (test.goaways().empty() && sent < 5000) {
    const auto stream = test.client().request("GET", "/");
    test.run();
    test.client().reset(stream);
    test.run();
    ++sent;
  }
  CHECK(sent > 400);
  CHECK(sent < 600);
  CHECK(was_calmed(test));
  CHECK(test.count(Count::limit_stream_resets) == 1);
  CHECK(test.count(Count::in_flight) == 0);
  CHECK(test.count(Count::lost_client_left) + test.count(Count::lost_cut) == static_cast<std::uint64_t>(sent));
}

// They counted as those of a client that has left if it closed before it had read the GOAWAY.
TEST_CASE("requests that end with the connection of a client that exceeds a limit count as cut", "[http2][limits]") {
  TestHttp2 test(never_answer);
  test.run();
  for (int i = 0; i < 3; ++i) test.client().request("GET", "/");
  test.run();
  const bool reads = GENERATE(true, false);
  if (!reads) test.stream().set_room(0);
  while (test.count(Count::limit_control_frames) == 0) {
    test.flood(Http2Client::frame(NGHTTP2_PRIORITY, 0, 1, std::string("\0\0\0\3\x10", 5)));
  }
  if (!reads) test.stream().finish_sending();
  test.run();
  CHECK(test.count(Count::lost_cut) == 3);
  CHECK(test.count(Count::lost_client_left) == 0);
  CHECK(test.count(Count::in_flight) == 0);
}

TEST_CASE("a client that now and then cancels a request keeps its connection", "[http2][limits]") {
  TestHttp2 test(never_answer);
  for (int i = 0; i < 900; ++i) {
    const auto stream = test.client().request("GET", "/");
    test.run();
    test.client().reset(stream);
    test.run();
    if (i % 20 == 0) test.pass(250ms);
  }
  CHECK(test.goaways().empty());
}

// CVE-2025-8671: the client makes the server reset its streams.
TEST_CASE("resets that the client provokes count like its own", "[http2][limits]") {
  TestHttp2 test(never_answer);
  test.run();
  int sent = 0;
  while (test.goaways().empty() && sent < 5000) {
    test.client().request("GET", "/", {{"connection", "close"}});
    test.run();
    ++sent;
  }
  CHECK(sent > 400);
  CHECK(sent < 600);
  CHECK(was_calmed(test));
  CHECK(test.count(Count::limit_control_frames) + test.count(Count::limit_stream_resets) == 1);
}

// CVE-2019-9512.
TEST_CASE("a flood of PING frames ends the connection", "[http2][limits]") {
  TestHttp2 test(answer_hello);
  CHECK(flood(test, Http2Client::frame(NGHTTP2_PING, 0, 0, "12345678")) < 1000);
  CHECK(was_calmed(test));
  CHECK(test.count(Count::limit_control_frames) == 1);
}

// CVE-2019-9515.
TEST_CASE("a flood of SETTINGS frames ends the connection", "[http2][limits]") {
  TestHttp2 test(answer_hello);
  CHECK(flood(test, Http2Client::frame(NGHTTP2_SETTINGS, 0, 0, "")) < 1000);
  CHECK(was_calmed(test));
  CHECK(test.count(Count::limit_control_frames) == 1);
}

// CVE-2019-9518.
TEST_CASE("a flood of empty DATA frames ends the connection", "[http2][limits]") {
  TestHttp2 test(never_answer);
  const auto stream = test.client().request("POST", "/", {}, {}, true);
  test.run();
  CHECK(flood(test, Http2Client::frame(NGHTTP2_DATA, 0, static_cast<std::uint32_t>(stream), "")) < 1000);
  CHECK(was_calmed(test));
  CHECK(test.count(Count::limit_control_frames) == 1);
}

TEST_CASE("a flood of DATA frames that are padding alone ends the connection", "[http2][limits]") {
  TestHttp2 test(never_answer);
  const auto stream = test.client().request("POST", "/", {}, {}, true);
  test.run();
  const std::string frame = Http2Client::frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, static_cast<std::uint32_t>(stream),
                                               std::string("\2\0\0", 3));
  CHECK(flood(test, frame) < 1000);
  CHECK(was_calmed(test));
  CHECK(test.count(Count::limit_control_frames) == 1);
}

// CVE-2019-9511: the response is asked for byte by byte.
TEST_CASE("a flood of tiny WINDOW_UPDATE frames ends the connection", "[http2][limits]") {
  TestHttp2 test([](Exchange& exchange) { exchange.owner->respond(exchange, text(std::string(1'000'000, 'x'))); },
                 TestHttp2::quick_config(), {.window = 0, .reads_bodies = false});
  const auto stream = test.client().request("GET", "/");
  test.run();
  const std::string one("\0\0\0\1", 4);
  CHECK(flood(test, Http2Client::frame(NGHTTP2_WINDOW_UPDATE, 0, static_cast<std::uint32_t>(stream), one)) < 1000);
  CHECK(was_calmed(test));
  CHECK(test.client().answer(stream).body.size() < 1000);
  CHECK(test.count(Count::limit_control_frames) == 1);
}

// CVE-2019-9513.
TEST_CASE("a flood of PRIORITY frames ends the connection", "[http2][limits]") {
  TestHttp2 test(never_answer);
  const std::string depends("\0\0\0\3\x10", 5);
  CHECK(flood(test, Http2Client::frame(NGHTTP2_PRIORITY, 0, 1, depends)) < 1000);
  CHECK(was_calmed(test));
}

TEST_CASE("a flood of HEADERS for a closed stream ends the connection", "[http2][limits]") {
  TestHttp2 test(answer_hello);
  const std::string head =
      Http2Client::frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, kGetBlock);
  CHECK(flood(test, head) < 2'000);
  CHECK(test.count(Count::limit_control_frames) == 1);
}

TEST_CASE("a flood of DATA for a closed stream ends the connection", "[http2][limits]") {
  TestHttp2 test(answer_hello);
  CHECK(test.ask("GET", "/").status == 200);
  CHECK(flood(test, Http2Client::frame(NGHTTP2_DATA, 0, 1, "x")) < 2'000);
  CHECK(test.count(Count::limit_control_frames) == 1);
}

TEST_CASE("a flood of unknown frames ends the connection", "[http2][limits]") {
  TestHttp2 test(never_answer);
  CHECK(flood(test, Http2Client::frame(0xbb, 0, 0, "")) < 1000);
  CHECK(was_calmed(test));
}

// CVE-2024-27316 and others.
TEST_CASE("a flood of CONTINUATION frames ends the connection", "[http2][limits]") {
  TestHttp2 test(answer_hello);
  test.run();
  test.send_raw(Http2Client::frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, kGetBlock));
  CHECK(flood(test, Http2Client::frame(NGHTTP2_CONTINUATION, 0, 1, "")) <= 9);
  CHECK(was_calmed(test));
  CHECK(test.count(Count::limit_header_bytes) == 1);
  CHECK(test.count(Count::requests) == 0);
}

TEST_CASE("a header block far above max_header_bytes ends the connection", "[http2][limits]") {
  Config config = TestHttp2::quick_config();
  config.http.max_header_bytes = 1000;
  TestHttp2 test(answer_hello, config);
  test.client().request("GET", "/", {{"a", std::string(5000, 'a')}});
  CHECK(was_calmed(test));
  CHECK(test.count(Count::limit_header_bytes) == 1);
}

// CVE-2016-6581, "HPACK bomb": a few bytes refer to a long field again and again.
TEST_CASE("a header block that refers to a long field many times ends the connection", "[http2][limits]") {
  TestHttp2 test(answer_hello);
  test.run();
  // A field of 4,000 bytes is put into the table (literal with indexing; 0x7f a1 1e: 4000 bytes), then named 1,000
  // times (0xbe: the newest entry).
  std::string block = kGetBlock + std::string("\x40\x01x\x7f\xa1\x1e", 6) + std::string(4000, 'a');
  block += std::string(1000, '\xbe');
  test.send_raw(Http2Client::frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, block));
  CHECK(was_calmed(test));
  CHECK(test.count(Count::limit_header_bytes) == 1);
}

// CVE-2019-9516.
TEST_CASE("fields without a name reset the stream", "[http2][limits]") {
  TestHttp2 test(answer_hello);
  const auto stream = test.client().request("GET", "/", {{"", ""}});
  test.run();
  CHECK(test.client().answer(stream).error == NGHTTP2_PROTOCOL_ERROR);
}

TEST_CASE("a header block above max_header_bytes is answered 431", "[http2][limits]") {
  Config config = TestHttp2::quick_config();
  config.http.max_header_bytes = 1000;
  TestHttp2 test(answer_hello, config);
  CHECK(test.ask("GET", "/", {{"a", std::string(1000, 'a')}}).status == 431);
  CHECK(test.count(Count::limit_header_bytes) == 1);
  CHECK(test.client().settings().at(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE) == 1000);
  CHECK(test.ask("GET", "/").status == 200);
}

TEST_CASE("a client that reads and writes a lot needs no budget for it", "[http2][limits]") {
  TestHttp2 test([](Exchange& exchange) { exchange.owner->respond(exchange, text(std::string(200'000, 'x'))); });
  for (int i = 0; i < 300; ++i) CHECK(test.ask("GET", "/").body.size() == 200'000);
  CHECK(test.goaways().empty());
}

TEST_CASE("many small requests need no budget either", "[http2][limits]") {
  Config config = TestHttp2::quick_config();
  config.http.keep_alive_requests = 0;
  TestHttp2 test(answer_hello, config);
  for (int i = 0; i < 3000; ++i) REQUIRE(test.ask("GET", "/").status == 200);
  CHECK(test.goaways().empty());
}

TEST_CASE("a connection whose client sends no request ends after header_timeout", "[http2][limits]") {
  TestHttp2 test(answer_hello);
  test.run();
  test.pass(1250ms);
  CHECK_FALSE(test.open());
  CHECK(test.count(Count::limit_header_time) == 1);
}

TEST_CASE("a header block that does not end closes the connection", "[http2][limits]") {
  TestHttp2 test(answer_hello);
  CHECK(test.ask("GET", "/").status == 200);
  test.send_raw(Http2Client::frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 3, kGetBlock));
  test.pass(1250ms);
  CHECK_FALSE(test.open());
  CHECK(test.count(Count::limit_header_time) == 1);
}

TEST_CASE("a malformed request ends no other one, not later either", "[http2][limits]") {
  TestHttp2 test(never_answer);
  const auto running = static_cast<std::uint32_t>(test.client().request("GET", "/"));
  test.run();
  const std::string upper_case = kGetBlock + std::string("\x00\x01X\x01x", 5);
  test.flood(
      Http2Client::frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, running + 2, upper_case));
  CHECK(test.count(Count::bad_requests) == 1);
  test.pass(2s);
  CHECK(test.open());
  CHECK(test.goaways().empty());
  CHECK(test.count(Count::in_flight) == 1);
}

// max_in_flight looks at the number when a request is dispatched.
TEST_CASE("requests of one read are in flight one after the other", "[http2][limits]") {
  std::vector<std::uint64_t> in_flight;
  TestHttp2* self = nullptr;
  TestHttp2 test([&](Exchange&) { in_flight.push_back(self->count(Count::in_flight)); });
  self = &test;
  test.run();
  for (int i = 0; i < 3; ++i) test.client().request("GET", "/");
  test.run();
  CHECK(in_flight == std::vector<std::uint64_t>{1, 2, 3});
}

TEST_CASE("requests that pass their deadline are answered 504", "[http2][limits]") {
  TestHttp2 test([](Exchange& exchange) { exchange.deadline = exchange.started; });
  const auto stream = test.client().request("GET", "/");
  test.run();
  test.pass(250ms);
  test.run();
  CHECK(test.client().answer(stream).status == 504);
  CHECK(test.count(Count::limit_deadline) == 1);
}
