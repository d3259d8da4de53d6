// Every timeout of a connection, without a socket and without waiting.
#include <string>

#include "pronghorn/error.h"
#include "support/catch.h"
#include "unit/worker/http1/test_connection.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using namespace std::chrono_literals;

namespace {

const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string kPost = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";

void answer(Exchange& exchange) { exchange.owner->respond(exchange, text("hello")); }
void never_answer(Exchange&) {}

Task<void> read_all(Exchange& exchange) {
  Response response;
  try {
    std::size_t size = 0;
    while (const auto piece = co_await exchange.request.read()) size += piece->size();
    response = text(std::to_string(size));
  } catch (const HttpError& error) {
    response = problem(error.status());
  }
  exchange.owner->respond(exchange, std::move(response));
}
void read_body(Exchange& exchange) {
  exchange.body.set_limit(0) ? void() : std::abort();
  exchange.running = read_all(exchange);
  exchange.running.start();
}

bool has_status(const std::string& response, int status) {
  return response.starts_with("HTTP/1.1 " + std::to_string(status) + " ");
}

}  // namespace

TEST_CASE("a connection that sends nothing is closed after header_timeout", "[timeouts]") {
  TestConnection test(answer);
  test.pass(750ms);
  CHECK(test.open());
  test.pass(500ms);
  CHECK_FALSE(test.open());
  CHECK(test.client().received().empty());
  CHECK(test.count(Count::limit_header_time) == 1);
  CHECK(test.count(Count::timeouts) == 1);
}

TEST_CASE("a head that does not arrive whole is answered 408 after header_timeout", "[timeouts]") {
  TestConnection test(answer);
  CHECK(test.ask("GET / HTTP/1.1\r\n").empty());
  test.pass(750ms);
  CHECK(test.ask("Host: ").empty());  // does not start the time anew
  test.pass(500ms);
  const std::string response = test.client().received();
  CHECK(has_status(response, 408));
  CHECK(response.find("Connection: close") != std::string::npos);
  CHECK(test.client().fin_sent());
  CHECK(test.count(Count::limit_header_time) == 1);
}

TEST_CASE("a body that stops arriving is answered 408 after body_timeout", "[timeouts]") {
  TestConnection test(read_body);
  CHECK(test.ask(kPost + "abc").empty());
  test.pass(1750ms);
  CHECK(test.ask("def").empty());  // starts the time anew
  test.pass(1750ms);
  CHECK(test.client().received().empty());
  test.pass(500ms);
  CHECK(has_status(test.client().received(), 408));
  CHECK(test.count(Count::limit_body_time) == 1);
}

TEST_CASE("body_timeout does not run while the handler does not read", "[timeouts]") {
  TestConnection test(never_answer);
  test.client().send(kPost + std::string(kBufferedBody, 'a'));
  CHECK_FALSE(test.client().reading());
  test.pass(10s);
  CHECK(test.open());
  CHECK(test.count(Count::limit_body_time) == 0);
}

TEST_CASE("an idle connection is closed after keep_alive_timeout", "[timeouts]") {
  TestConnection test(answer);
  CHECK(has_status(test.ask(kGet), 200));
  test.pass(3750ms);
  CHECK(has_status(test.ask(kGet), 200));  // starts the time anew
  test.pass(3750ms);
  CHECK(test.open());
  test.pass(500ms);
  CHECK_FALSE(test.open());
  CHECK(test.count(Count::limit_keep_alive_time) == 1);
  CHECK(test.count(Count::timeouts) == 0);
}

TEST_CASE("empty lines do not keep an idle connection open", "[timeouts]") {
  TestConnection test(answer);
  CHECK(has_status(test.ask(kGet), 200));
  test.pass(2s);
  CHECK(test.ask("\r\n").empty());
  test.pass(2250ms);
  CHECK_FALSE(test.open());
}

TEST_CASE("a client that reads nothing of a response is disconnected after write_timeout", "[timeouts]") {
  TestConnection test([](Exchange& exchange) { exchange.owner->respond(exchange, text(std::string(1'000'000, 'a'))); });
  test.client().set_room(100'000);
  test.client().acknowledge(50'000);
  test.client().send(kGet);
  test.pass(2750ms);
  CHECK(test.open());
  test.pass(500ms);
  CHECK_FALSE(test.open());
  CHECK(test.count(Count::limit_write_time) == 1);
}

// The kernel of a slow client acknowledges megabytes ahead, and then nothing until half of its buffer is free.
TEST_CASE("a client that has received megabytes has longer than write_timeout to read them", "[timeouts]") {
  constexpr std::uint64_t kMiB = 1024 * 1024;
  TestConnection test([](Exchange& exchange) { exchange.owner->respond(exchange, text(std::string(8 * kMiB, 'a'))); });
  test.client().set_room(6 * kMiB);
  test.client().acknowledge(3 * kMiB);
  test.client().send(kGet);
  test.pass(30s);  // ten times write_timeout
  CHECK(test.open());
  test.client().acknowledge(5 * kMiB);
  test.pass(60s);
  CHECK(test.open());
  test.pass(10s);
  CHECK_FALSE(test.open());
  CHECK(test.count(Count::limit_write_time) == 1);
}

// Progress used to be what the kernel took: with a large socket buffer it takes nothing for minutes while a slow client
// empties it.
TEST_CASE("a client that receives slowly but steadily is not disconnected", "[timeouts]") {
  TestConnection test([](Exchange& exchange) { exchange.owner->respond(exchange, text(std::string(1'000'000, 'a'))); });
  test.client().set_room(100'000);
  test.client().acknowledge(0);
  test.client().send(kGet);
  for (std::uint64_t bytes = 1; bytes < 10; ++bytes) {
    test.client().acknowledge(bytes);
    test.pass(2500ms);
  }
  CHECK(test.open());
  test.client().drain();
  CHECK(test.client().received().size() > 1'000'000);
  CHECK(test.count(Count::limit_write_time) == 0);
}

TEST_CASE("keep_alive_timeout does not run out while the client still receives the last response", "[timeouts]") {
  TestConnection test([](Exchange& exchange) { exchange.owner->respond(exchange, text(std::string(10'000, 'a'))); });
  test.client().acknowledge(0);
  test.client().send(kGet);
  for (std::uint64_t bytes = 1; bytes < 5; ++bytes) {
    test.client().acknowledge(bytes);
    test.pass(3750ms);
  }
  CHECK(test.open());
  test.pass(8s);
  CHECK_FALSE(test.open());
}

TEST_CASE("a request is ended at its deadline", "[timeouts]") {
  TestConnection test([](Exchange& exchange) { exchange.deadline = exchange.started + 5s; });
  CHECK(test.ask(kGet).empty());
  test.pass(4500ms);
  CHECK(test.client().received().empty());
  test.pass(1s);
  CHECK(has_status(test.client().received(), 504));
  CHECK(test.count(Count::limit_deadline) == 1);
}

TEST_CASE("a body below min_receive_rate is answered 408", "[timeouts]") {
  Config config = TestConnection::quick_config();
  config.http.min_receive_rate = 100;
  TestConnection test(read_body, config);
  CHECK(test.ask(kPost).empty());
  std::string response;
  for (int second = 0; second < 8 && response.empty(); ++second) {
    test.pass(1s);
    response = test.ask("ten bytes!");
  }
  CHECK(has_status(response, 408));
  CHECK(test.count(Count::limit_receive_rate) == 1);
}

TEST_CASE("a head below min_receive_rate is answered 408", "[timeouts]") {
  Config config = TestConnection::quick_config();
  config.http.header_timeout = Milliseconds(0);
  config.http.min_receive_rate = 100;
  TestConnection test(answer, config);
  CHECK(test.ask("GET / HTTP/1.1\r\n").empty());
  std::string response;
  for (int second = 0; second < 8 && response.empty(); ++second) {
    test.pass(1s);
    response = test.ask("a: b\r\n");
  }
  CHECK(has_status(response, 408));
  CHECK(test.count(Count::limit_receive_rate) == 1);
}

// The rate was measured in windows of five seconds, so one pause ended an upload however fast it had been.
TEST_CASE("a fast upload may pause", "[timeouts]") {
  Config config = TestConnection::quick_config();
  config.http.body_timeout = Milliseconds(60'000);
  TestConnection test(read_body, config);
  CHECK(test.ask(kPost).empty());
  CHECK(test.ask(std::string(100'000, 'a')).empty());
  for (const auto pause : {8s, 12s, 20s}) {
    test.pass(pause);
    CHECK(test.ask("a").empty());
  }
  CHECK(test.count(Count::limit_receive_rate) == 0);
  const std::string rest(1'000'000 - 100'003, 'a');
  CHECK(has_status(test.ask(rest), 200));
}

TEST_CASE("credit for what came fast is limited", "[timeouts]") {
  Config config = TestConnection::quick_config();
  config.http.body_timeout = Milliseconds(0);
  TestConnection test(read_body, config);
  CHECK(test.ask(kPost).empty());
  CHECK(test.ask(std::string(900'000, 'a')).empty());  // half an hour at the minimum rate
  test.pass(std::chrono::seconds(ReceiveRate::kMostCreditSeconds + 1));
  CHECK(has_status(test.ask("a"), 408));
}

TEST_CASE("a client that does not close after the last response is disconnected", "[timeouts]") {
  Config config = TestConnection::quick_config();
  config.http.keep_alive_requests = 1;
  TestConnection test(answer, config);
  CHECK(has_status(test.ask(kGet), 200));
  CHECK(test.client().fin_sent());
  test.pass(TestConnection::kLinger - 250ms);
  CHECK(test.open());
  test.pass(500ms);
  CHECK_FALSE(test.open());
  CHECK(test.count(Count::timeouts) == 0);
}

TEST_CASE("a client that still receives the last response is waited for", "[timeouts]") {
  Config config = TestConnection::quick_config();
  config.http.keep_alive_requests = 1;
  TestConnection test(answer, config);
  test.client().acknowledge(0);
  CHECK(has_status(test.ask(kGet), 200));
  test.pass(TestConnection::kLinger);
  for (std::uint64_t bytes = 1; bytes < 5; ++bytes) {
    test.client().acknowledge(bytes);
    test.pass(2500ms);
  }
  CHECK(test.open());
  test.pass(6s);
  CHECK_FALSE(test.open());
}

TEST_CASE("the rest of a body that nobody reads is not waited for", "[timeouts]") {
  TestConnection test(answer);
  CHECK(has_status(test.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"), 200));
  test.pass(TestConnection::kLinger + 250ms);
  CHECK_FALSE(test.open());
}

TEST_CASE("a client that has finished sending gets its response for two seconds", "[timeouts]") {
  TestConnection test(never_answer);
  CHECK(test.ask(kGet).empty());
  test.client().finish_sending();
  test.pass(1750ms);
  CHECK(test.open());
  test.pass(500ms);
  CHECK_FALSE(test.open());
}
