// Bodies over HTTP/2, in both directions, without a socket.
#include <malloc.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "pronghorn/response.h"
#include "support/catch.h"
#include "support/log_lines.h"
#include "support/temp_dir.h"
#include "unit/worker/http2/test_http2.h"
#include "worker/http/response_access.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using namespace std::chrono_literals;
using test::Http2Client;

TEST_CASE("a request body over HTTP/2 reaches its handler whole", "[http2]") {
  TestHttp2 test(coroutine(echo_body));
  const std::string body(300'000, 'x');
  const auto& response = test.ask("POST", "/", {}, body);
  CHECK(response.status == 200);
  CHECK(response.body == body);
  CHECK(test.ask("POST", "/", {{"content-length", "3"}}, "abc").body == "abc");
  CHECK(test.ask("POST", "/", {}, "").body.empty());
}

TEST_CASE("a client may send no more of a body than its handler reads", "[http2]") {
  std::vector<Exchange*> waiting;
  TestHttp2 test([&waiting](Exchange& exchange) { waiting.push_back(&exchange); });
  const std::string body(1'000'000, 'x');
  const auto stream = test.client().request("POST", "/", {}, body);
  test.run();
  REQUIRE(waiting.size() == 1);
  CHECK(test.client().unsent(stream) == body.size() - Http2Session::kUnreadWindow);
  Exchange& exchange = *waiting[0];
  exchange.running = run_handler(exchange, count_pieces);
  exchange.running.start();
  test.run();
  CHECK(test.client().answer(stream).body == "1000000");
}

TEST_CASE("uploads that nobody reads do not stop those of other streams", "[http2]") {
  std::vector<Exchange*> waiting;
  TestHttp2 test([&waiting](Exchange& exchange) {
    if (exchange.head.path == "/stuck") return waiting.push_back(&exchange);
    coroutine(echo_body)(exchange);
  });
  for (int i = 0; i < 10; ++i) test.client().request("POST", "/stuck", {}, std::string(200'000, 'x'));
  const std::string body(100'000, 'y');
  CHECK(test.ask("POST", "/", {}, body).body == body);
  CHECK(waiting.size() == 10);
}

// What is dropped, or arrives after its stream was reset, must not stay charged to the connection's window.
TEST_CASE("bodies that nobody reads cost the connection nothing for good", "[http2]") {
  TestHttp2 test([](Exchange& exchange) {
    exchange.head.path == "/echo" ? coroutine(echo_body)(exchange) : answer_hello(exchange);
  });
  for (int i = 0; i < 40; ++i) CHECK(test.ask("POST", "/", {}, std::string(300'000, 'x')).status == 200);
  const std::string body(900'000, 'y');
  CHECK(test.ask("POST", "/echo", {}, body).body == body);
}

TEST_CASE("a body that its handler does not read is refused when it has answered", "[http2]") {
  TestHttp2 test(answer_hello);
  const auto stream = test.client().request("POST", "/", {}, std::string(2'000'000, 'x'));
  test.run();
  CHECK(test.client().answer(stream).status == 200);
  CHECK(test.client().answer(stream).complete);
  CHECK(test.client().answer(stream).closed);
  CHECK(test.client().answer(stream).error == NGHTTP2_NO_ERROR);
  CHECK(test.ask("GET", "/").status == 200);
}

TEST_CASE("trailers of a request over HTTP/2 can be read", "[http2]") {
  TestHttp2 test(coroutine([](Request& request) -> Task<Response> {
    static_cast<void>(co_await request.body());
    co_return text(std::string(request.trailer("Checksum").value_or("none")));
  }));
  const auto stream = test.client().request("POST", "/", {}, {}, true);
  test.client().send_body(stream, "abc", false);
  test.run();
  test.client().send_trailers(stream, {{"checksum", "17"}});
  test.run();
  CHECK(test.client().answer(stream).body == "17");
}

TEST_CASE("a client that waits for 100 Continue is told to continue when the handler reads", "[http2]") {
  TestHttp2 test(coroutine(echo_body));
  const auto stream = test.client().request("POST", "/", {{"expect", "100-continue"}}, {}, true);
  test.run();
  CHECK(test.client().answer(stream).interim == std::vector<int>{100});
  test.client().send_body(stream, "abc", true);
  test.run();
  CHECK(test.client().answer(stream).status == 200);
  CHECK(test.client().answer(stream).body == "abc");
}

TEST_CASE("a stream is sent as it is written, with its trailers", "[http2]") {
  TestHttp2 test([](Exchange& exchange) {
    exchange.owner->respond(exchange, stream("text/plain", [](Writer& writer) -> Task<void> {
                              co_await writer.write("one ");
                              co_await writer.write("two");
                              writer.trailer("Checksum", "17");
                            }));
  });
  const auto& response = test.ask("GET", "/");
  CHECK(response.body == "one two");
  CHECK(response.complete);
  CHECK_FALSE(response.field("content-length"));
  CHECK(response.trailers == test::Http2Fields{{"checksum", "17"}});
}

TEST_CASE("a producer waits while its client does not read", "[http2]") {
  std::size_t written = 0;
  TestHttp2 test(
      [&written](Exchange& exchange) {
        exchange.owner->respond(exchange, stream("text/plain", [&written](Writer& writer) -> Task<void> {
                                  const std::string piece(10'000, 'x');
                                  while (written < 10'000'000) {
                                    written += piece.size();
                                    co_await writer.write(piece);
                                  }
                                }));
      },
      TestHttp2::quick_config(), {.reads_bodies = false});
  const auto stream = test.client().request("GET", "/");
  test.run();
  CHECK(test.client().answer(stream).body.size() == 65'535);
  CHECK(written < 300'000);
  const std::size_t before = written;
  test.client().widen(stream, 1'000'000);
  test.client().widen(0, 1'000'000);
  test.run();
  CHECK(written > before);
  CHECK(test.client().answer(stream).body.size() == 1'065'535);
  CHECK(written < 1'400'000);
}

// CVE-2019-9517: the windows are open, but the client does not read from its socket.
TEST_CASE("a client that opens its windows and does not read fills no memory", "[http2]") {
  std::size_t written = 0;
  TestHttp2 test(
      [&written](Exchange& exchange) {
        exchange.owner->respond(exchange, stream("text/plain", [&written](Writer& writer) -> Task<void> {
                                  const std::string piece(10'000, 'x');
                                  while (true) {
                                    written += piece.size();
                                    co_await writer.write(piece);
                                  }
                                }));
      },
      TestHttp2::quick_config(), {.window = 1U << 30});
  test.run();
  test.client().widen(0, 1 << 30);
  for (int i = 0; i < 50; ++i) test.client().request("GET", "/");
  test.stream().set_room(0);
  test.stream().send(test.client().output());
  for (int turn = 0; turn < 20; ++turn) test.end_turn();
  CHECK(test.stream().queued() < 200'000);
  CHECK(written < 50 * 200'000);
}

// Bytes on the heap. Nothing under AddressSanitizer.
static std::size_t allocated() {
  const auto heap = ::mallinfo2();
  return heap.uordblks + heap.hblkhd;
}

TEST_CASE("of a stream that is faster than its client only what was not sent is kept", "[http2]") {
  TestHttp2 test([](Exchange& exchange) {
    exchange.owner->respond(exchange, stream("text/plain", [](Writer& writer) -> Task<void> {
                              const std::string piece(10'000, 'x');
                              while (true) co_await writer.write(piece);
                            }));
  });
  test.run();
  const auto id = static_cast<std::uint32_t>(test.client().request("GET", "/"));
  test.stream().send(test.client().output());
  const std::size_t before = allocated();
  std::size_t received = 0;
  while (received < 20'000'000 && test.open()) {
    test.end_turn();
    const auto bytes = static_cast<std::uint32_t>(test.stream().received().size());
    received += bytes;
    std::string increment;
    for (int shift = 24; shift >= 0; shift -= 8) increment += static_cast<char>(bytes >> shift);
    test.stream().send(Http2Client::frame(NGHTTP2_WINDOW_UPDATE, 0, 0, increment) +
                       Http2Client::frame(NGHTTP2_WINDOW_UPDATE, 0, id, increment));
  }
  CHECK(received >= 20'000'000);
  CHECK(allocated() < before + 4'000'000);
}

TEST_CASE("a file is sent over HTTP/2", "[http2]") {
  const test::TempDir folder;
  const std::string path = (folder.path() / "file").string();
  std::string content;
  for (int i = 0; i < 200'000; ++i) content += static_cast<char>('a' + i % 26);
  std::ofstream(path) << content;
  TestHttp2 test([&path](Exchange& exchange) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    exchange.owner->respond(exchange, ResponseAccess::from_file(std::make_shared<const OpenFile>(fd), 10, 150'000));
  });
  const auto& response = test.ask("GET", "/");
  CHECK(response.field("content-length") == "150000");
  CHECK(response.body == content.substr(10, 150'000));
}

TEST_CASE("a file that is too short is logged, and resets its stream only", "[http2]") {
  const test::TempDir folder;
  const test::LogLines log;
  const std::string path = (folder.path() / "file").string();
  std::ofstream(path) << "short";
  TestHttp2 test([&path](Exchange& exchange) {
    if (exchange.head.path == "/other") return answer_hello(exchange);
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    exchange.owner->respond(exchange, ResponseAccess::from_file(std::make_shared<const OpenFile>(fd), 0, 50'000));
  });
  const auto& response = test.ask("GET", "/");
  CHECK_FALSE(response.complete);
  CHECK(response.closed);
  CHECK(response.error == NGHTTP2_INTERNAL_ERROR);
  CHECK(test.count(Count::lost_cut) == 1);
  CHECK(log.with("a file was truncated while it was sent") == 1);
  CHECK(test.ask("GET", "/other").status == 200);
}

TEST_CASE("a producer that fails resets its stream only", "[http2]") {
  TestHttp2 test([](Exchange& exchange) {
    if (exchange.head.path == "/other") return answer_hello(exchange);
    exchange.owner->respond(exchange, stream("text/plain", [](Writer& writer) -> Task<void> {
                              co_await writer.write("part");
                              throw std::runtime_error("broken");
                            }));
  });
  const auto& response = test.ask("GET", "/");
  CHECK_FALSE(response.complete);
  CHECK(response.error == NGHTTP2_INTERNAL_ERROR);
  CHECK(test.count(Count::handler_errors) == 1);
  CHECK(test.count(Count::lost_cut) == 1);
  CHECK(test.ask("GET", "/other").status == 200);
}

TEST_CASE("a body that differs from its Content-Length resets its stream", "[http2]") {
  TestHttp2 test(coroutine(echo_body));
  const auto stream = test.client().request("POST", "/", {{"content-length", "5"}}, "abc");
  test.run();
  CHECK(test.client().answer(stream).error == NGHTTP2_PROTOCOL_ERROR);
  CHECK(test.client().answer(stream).status == 0);
}
