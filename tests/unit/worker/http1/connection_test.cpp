// How a connection ends, and what it holds back, without a socket.
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "pronghorn/response.h"
#include "support/catch.h"
#include "support/log_lines.h"
#include "support/temp_dir.h"
#include "unit/worker/http1/test_connection.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using namespace std::chrono_literals;

namespace {

const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

void answer(Exchange& exchange) { exchange.owner->respond(exchange, text("hello")); }

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a client that has agreed on HTTP/1.1 over TLS cannot go on with HTTP/2", "[connection][http2]") {
  const auto begins_http2 = [](bool https) {
    Config config = TestConnection::quick_config();
    config.http2_cleartext = true;
    TestConnection test(answer, config, https);
    return test.ask("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").empty();
  };
  CHECK(begins_http2(false));
  CHECK_FALSE(begins_http2(true));
}

TEST_CASE("a client that leaves while its body waits unread is noticed", "[connection][body]") {
  const auto is_open_after = [](PeerState peer, std::chrono::milliseconds time) {
    TestConnection test([](Exchange&) {});  // a handler that waits for something else
    test.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + std::string(100'000, 'x'));
    CHECK_FALSE(test.client().reading());
    test.client().set_wait({.age = {}, .peer = peer});
    test.pass(time);
    if (!test.open()) CHECK(test.count(Count::lost_client_left) == 1);
    return test.open();
  };
  CHECK(is_open_after(PeerState::there, 60s));
  CHECK_FALSE(is_open_after(PeerState::gone, 3s));
  CHECK(is_open_after(PeerState::finished, 1900ms));
  CHECK_FALSE(is_open_after(PeerState::finished, 6s));
}

TEST_CASE("a request that its client has left unfinished does not wait for its rest", "[connection][body]") {
  // Behind another, so that the end of the client is read before its head is.
  const auto goes_on_with = [](const std::string& body) {
    std::vector<Exchange*> begun;
    TestConnection test([&begun](Exchange& exchange) { begun.push_back(&exchange); });
    test.client().send(kGet + "POST / HTTP/1.1\r\nHost: a\r\n" + body);
    test.client().finish_sending();
    REQUIRE(begun.size() == 1);
    answer(*begun.front());
    REQUIRE(begun.size() == 2);
    const bool open = test.open();
    if (open) {
      Task<std::string_view> whole = begun.back()->request.body();
      whole.start();
      CHECK(whole.done());
      answer(*begun.back());
    }
    test.end_turn();
    CHECK(test.count(Count::lost_client_left) == (open ? 0 : 1));
    CHECK(test.count(Count::in_flight) == 0);
    return open;
  };
  CHECK_FALSE(goes_on_with("Content-Length: 10\r\n\r\nabc"));
  CHECK_FALSE(goes_on_with("Content-Length: 10\r\n\r\n"));
  CHECK_FALSE(goes_on_with("Content-Length: 10\r\nExpect: 100-continue\r\n\r\n"));
  CHECK_FALSE(goes_on_with("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"));
  CHECK(goes_on_with("Content-Length: 3\r\n\r\nabc"));
  const std::string chunk = "ea60\r\n" + std::string(60'000, 'x') + "\r\n";
  CHECK(goes_on_with("Transfer-Encoding: chunked\r\n\r\n" + chunk + chunk + "0\r\n\r\n"));  // held back
}

TEST_CASE("a producer that reads a body that is still to come is told that it is too late", "[connection][body]") {
  const auto reads_late = [](bool whole) {
    const test::LogLines lines;
    TestConnection test([whole](Exchange& exchange) {
      Request& request = exchange.request;
      exchange.owner->respond(exchange, stream("text/plain", [&request, whole](Writer& out) -> Task<void> {
                                if (whole) co_await out.write(co_await request.body());
                                while (const auto piece = co_await request.read()) co_await out.write(*piece);
                              }));
    });
    test.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
    CHECK(lines.with("cannot be read once its response has begun") == 1);
    CHECK_FALSE(contains(test.ask("abc"), "0\r\n\r\n"));
  };
  reads_late(false);
  reads_late(true);
}

TEST_CASE("a client that sends Connection: close is closed immediately", "[connection]") {
  TestConnection test(answer);
  const std::string response = test.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  CHECK(contains(response, "Connection: close\r\n"));
  CHECK(test.client().ended() == MemoryStream::Ended::closed);
}

// Closing at once reset connections of clients that pipeline, and with them the response on its way.
TEST_CASE("when the server ends the connection it drops what still comes until the client closes", "[connection]") {
  Config config = TestConnection::quick_config();
  config.http.keep_alive_requests = 2;
  TestConnection test(answer, config);
  const std::string responses = test.ask(kGet + kGet + kGet);
  CHECK(contains(responses, "Connection: close\r\n"));
  CHECK(test.client().fin_sent());
  CHECK(test.open());
  CHECK(test.ask(kGet).empty());
  CHECK(test.open());
  CHECK(test.client().reading());
  CHECK(test.count(Count::requests) == 2);
  test.client().finish_sending();
  CHECK(test.client().ended() == MemoryStream::Ended::closed);
}

TEST_CASE("what a client has asked another worker waits until it has taken the response before",
          "[connection][survival]") {
  TestConnection test(answer);
  test.client().set_room(0);
  test.connection().resume({}, {.unanswered = kGet, .unsent = "the end of a response"}, nullptr);
  CHECK(test.count(Count::requests) == 0);
  test.client().drain();
  CHECK(test.count(Count::requests) == 1);
  CHECK(test.client().received().starts_with("the end of a responseHTTP/1.1 200 "));
}

TEST_CASE("a client that keeps sending after the last response is disconnected", "[connection]") {
  TestConnection test(answer);
  CHECK(contains(test.ask("nonsense\r\n\r\n"), " 400 "));
  const std::string more(64 * 1024, 'a');
  std::size_t sent = 0;
  while (test.open() && sent < 100'000'000) {
    test.client().send(more);
    sent += more.size();
  }
  CHECK(sent > 20'000'000);  // a client that sends a large body before it reads gets to the response
  CHECK(sent < 100'000'000);
}

TEST_CASE("a draining worker ends a connection with its response", "[connection]") {
  TestConnection test(answer);
  CHECK_FALSE(contains(test.ask(kGet), "Connection: close"));
  test.context().draining = true;
  CHECK(contains(test.ask(kGet), "Connection: close\r\n"));
  CHECK(test.client().fin_sent());
}

TEST_CASE("an idle connection is closed by a drain, unless a request has just arrived", "[connection]") {
  TestConnection test(answer);
  static_cast<void>(test.ask(kGet));
  test.client().set_input(true);
  test.connection().drain(true);
  CHECK(test.open());
  test.client().set_input(false);
  test.connection().drain(true);
  CHECK_FALSE(test.open());
}

// A part would look like the whole: the end of the connection is the end of the body.
TEST_CASE("a stream that fails resets a client that gets no chunks", "[connection]") {
  const auto failing = [](Exchange& exchange) {
    exchange.owner->respond(exchange, stream("text/plain", [](Writer& out) -> Task<void> {
                              co_await out.write("part");
                              throw std::runtime_error("the database is away");
                            }));
  };
  TestConnection old(failing);
  static_cast<void>(old.ask("GET / HTTP/1.0\r\n\r\n"));
  CHECK(old.client().ended() == MemoryStream::Ended::reset);
  TestConnection chunked(failing);
  CHECK_FALSE(contains(chunked.ask(kGet), "\r\n0\r\n"));
  CHECK(chunked.client().ended() == MemoryStream::Ended::closed);
}

TEST_CASE("any early end of a body without a length is a reset", "[connection]") {
  const auto endless = [](Exchange& exchange) {
    exchange.owner->respond(exchange, stream("text/plain", [](Writer& out) -> Task<void> {
                              for (;;) co_await out.write(std::string(1000, 'a'));
                            }));
  };
  TestConnection stalled(endless);
  stalled.client().set_room(100'000);
  stalled.client().acknowledge(0);
  static_cast<void>(stalled.ask("GET / HTTP/1.0\r\n\r\n"));
  stalled.pass(8s);
  CHECK(stalled.client().ended() == MemoryStream::Ended::reset);
  TestConnection closed(endless);
  closed.client().set_room(100'000);
  static_cast<void>(closed.ask("GET / HTTP/1.0\r\n\r\n"));
  closed.connection().close();
  CHECK(closed.client().ended() == MemoryStream::Ended::reset);
}

TEST_CASE("a stream that ends regularly closes the connection of a client that gets no chunks", "[connection]") {
  TestConnection test([](Exchange& exchange) {
    exchange.owner->respond(exchange,
                            stream("text/plain", [](Writer& out) -> Task<void> { co_await out.write("whole"); }));
  });
  CHECK(test.ask("GET / HTTP/1.0\r\n\r\n").ends_with("\r\n\r\nwhole"));
  CHECK(test.client().ended() == MemoryStream::Ended::closed);
}

TEST_CASE("statuses that must not have content have none", "[connection]") {
  int status = 204;
  TestConnection test([&status](Exchange& exchange) { exchange.owner->respond(exchange, text("content", status)); });
  for (const int bodiless : {204, 304}) {
    status = bodiless;
    const std::string response = test.ask(kGet);
    CHECK_FALSE(contains(response, "Content-Length"));
    CHECK(response.ends_with("\r\n\r\n"));
  }
  status = 205;
  const std::string response = test.ask(kGet);
  CHECK(contains(response, "Content-Length: 0\r\n"));
  CHECK(response.ends_with("\r\n\r\n"));
  CHECK(test.open());
}

TEST_CASE("a client that reads no responses is not read from", "[connection]") {
  Config config = TestConnection::quick_config();
  config.http.max_queued_output = 10'000;
  TestConnection test([](Exchange& exchange) { exchange.owner->respond(exchange, text(std::string(6000, 'a'))); },
                      config);
  test.client().set_room(0);
  std::string many;
  for (int i = 0; i < 100; ++i) many += kGet;
  test.client().send(many);
  CHECK_FALSE(test.client().reading());
  CHECK(test.count(Count::limit_queued_output) == 1);
  while (test.count(Count::requests) < 100) test.client().drain();
  CHECK(test.client().reading());
}

TEST_CASE("a body that is announced as too large is refused before it arrives", "[connection]") {
  TestConnection test([](Exchange& exchange) {
    const bool fits = exchange.body.set_limit(10);
    exchange.owner->respond(exchange, fits ? text("fits") : problem(413));
  });
  CHECK(test.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n").starts_with("HTTP/1.1 413 "));
}

// Requests whose client disconnected had no log line, no counter and no latency, so p99 missed the slowest.
TEST_CASE("a request whose client disconnects is counted, logged and timed", "[connection]") {
  const test::TempDir folder;
  Config config = TestConnection::quick_config();
  config.access_log = (folder.path() / "access.log").string();
  TestConnection test([](Exchange&) {}, config);
  CHECK(test.ask(kGet).empty());
  test.client().finish_sending();
  test.pass(2250ms);
  CHECK_FALSE(test.open());
  CHECK(test.count(Count::lost_client_left) == 1);
  CHECK(test.count(Count::requests) == 0);
  CHECK(test.count(Count::in_flight) == 0);
  LatencyHistogram::Sum latency;
  latency.add(test.latency());
  CHECK(latency.total == 1);
  test.context().access_log.flush();
  CHECK(contains(test::read_file(folder.path() / "access.log"), "\"GET /\" 499 0 "));
}

// It was logged as answered: the loop, which the handler blocked, could not hear of the reset.
TEST_CASE("a request whose client resets the connection while its handler blocks has lost its client", "[connection]") {
  const test::TempDir folder;
  Config config = TestConnection::quick_config();
  config.access_log = (folder.path() / "access.log").string();
  TestConnection test(
      [](Exchange& exchange) {
        std::this_thread::sleep_for(20ms);
        answer(exchange);
      },
      config);
  test.client().set_wait({.age = {}, .peer = PeerState::finished});  // it may still read
  CHECK(contains(test.ask(kGet), "200 OK"));
  CHECK(test.count(Count::lost_client_left) == 0);
  test.client().set_wait({.age = {}, .peer = PeerState::gone});
  static_cast<void>(test.ask(kGet));
  CHECK(test.count(Count::lost_client_left) == 1);
  CHECK(test.count(Count::requests) == 1);
  CHECK(test.count(Count::in_flight) == 0);
  test.context().access_log.flush();
  CHECK(contains(test::read_file(folder.path() / "access.log"), "\"GET /\" 499 0 "));
}

TEST_CASE("the kernel is not asked about the clients of quick requests", "[connection]") {
  TestConnection test(answer);
  CHECK(contains(test.ask(kGet), "200 OK"));
  CHECK(test.client().asked() == 0);
}

TEST_CASE("a request that the server ends early is counted and logged as such", "[connection]") {
  const test::TempDir folder;
  Config config = TestConnection::quick_config();
  config.access_log = (folder.path() / "access.log").string();
  TestConnection test(
      [](Exchange& exchange) {
        exchange.owner->respond(exchange, stream("text/plain", [](Writer& out) -> Task<void> {
                                  co_await out.write("part");
                                  throw std::runtime_error("the database is away");
                                }));
      },
      config);
  static_cast<void>(test.ask(kGet));
  CHECK(test.count(Count::lost_cut) == 1);
  CHECK(test.count(Count::lost_client_left) == 0);
  test.context().access_log.flush();
  CHECK(contains(test::read_file(folder.path() / "access.log"), "\"GET /\" 444 "));
}

TEST_CASE("a client that disconnects before the end of its response is counted", "[connection]") {
  TestConnection test([](Exchange& exchange) { exchange.owner->respond(exchange, text(std::string(1'000'000, 'a'))); });
  test.client().set_room(1000);
  static_cast<void>(test.ask(kGet));
  test.connection().close();
  CHECK(test.count(Count::requests) == 1);
  CHECK(test.count(Count::lost_cut) == 1);
}

TEST_CASE("a request whose file was truncated is logged, and counts as ended by the server", "[connection]") {
  const test::TempDir folder;
  const test::LogLines log;
  const std::string path = (folder.path() / "file").string();
  for (const std::size_t size : {std::size_t{1000}, std::size_t{100'000}}) {
    CAPTURE(size);
    std::ofstream(path) << std::string(size, 'a');
    TestConnection test([&path](Exchange& exchange) {
      Response response = file(path);
      std::filesystem::resize_file(path, 10);
      exchange.owner->respond(exchange, std::move(response));
    });
    const std::string response = test.ask(kGet);
    CHECK(contains(response, "Content-Length: " + std::to_string(size) + "\r\n"));
    CHECK(response.ends_with("\r\n\r\naaaaaaaaaa"));
    CHECK_FALSE(test.open());
    CHECK(test.count(Count::lost_cut) == 1);
    CHECK(test.count(Count::requests) == 0);
  }
  CHECK(log.with("a file was truncated while it was sent") == 2);
}
