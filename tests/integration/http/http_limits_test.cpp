// Limits and timeouts: what is too long, too large or too slow gets its own status and the connection ends.
#include "integration/http/framing_table.h"
#include "support/catch.h"

using namespace pronghorn::test;

namespace {

std::string get_of_length(std::size_t request_line) {
  const std::string frame = "GET / HTTP/1.1";
  return "GET /" + std::string(request_line - frame.size(), 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n";
}

std::string with_fields(int count) {
  std::string fields;
  for (int i = 1; i < count; ++i) fields += "X-" + std::to_string(i) + ": a\r\n";  // Host is the first
  return get_with(fields);
}

int limit_count(const ServerProcess& server, const char* limit) {
  return server.status().at("totals").at("limits").at(limit).get<int>();
}

}  // namespace

TEST_CASE("a head that is too long is answered 414 or 431", "[http]") {
  const ServerProcess server({.workers = 1});
  check_table(server,
              {{"request line of 8 KiB", get_of_length(8 * 1024), {404}},
               {"request line above 8 KiB", get_of_length(8 * 1024 + 1), {414}, After::closed},
               {"request line of 100 KiB", get_of_length(100 * 1024), {414}, After::closed},
               {"a request line without end", "GET /" + std::string(60 * 1024, 'a'), {414}, After::closed},
               {"100 fields", with_fields(100), {200}},
               {"101 fields", with_fields(101), {431}, After::closed},
               {"1000 fields", with_fields(1000), {431}, After::closed},
               {"a value of 30 KiB", get_with("X: " + std::string(30 * 1024, 'a') + "\r\n"), {200}},
               {"a value above 32 KiB", get_with("X: " + std::string(33 * 1024, 'a') + "\r\n"), {431}, After::closed},
               {"a value without end",
                "GET /hello HTTP/1.1\r\nHost: a\r\nX: " + std::string(60 * 1024, 'a'),
                {431},
                After::closed}});
}

TEST_CASE("limits are options", "[http]") {
  const ServerProcess server({.workers = 1,
                              .arguments = {"--max-request-line", "64", "--max-header-bytes", "256",
                                            "--max-header-fields", "3", "--max-body", "10"}});
  check_table(server,
              {{"request line of 64 bytes", get_of_length(64), {404}},
               {"request line of 65 bytes", get_of_length(65), {414}, After::closed},
               {"3 fields", with_fields(3), {200}},
               {"4 fields", with_fields(4), {431}, After::closed},
               {"300 bytes of fields", get_with("X: " + std::string(300, 'a') + "\r\n"), {431}, After::closed},
               {"10 bytes of body", post_with("Content-Length: 10\r\n", "0123456789"), {200}},
               {"11 bytes of body, which are dropped", post_with("Content-Length: 11\r\n", "0123456789a"), {413}},
               {"11 bytes announced, none sent", post_with("Content-Length: 11\r\n", ""), {413}, After::closed_waiting},
               {"10^12 bytes announced", post_with("Content-Length: 1000000000000\r\n", ""), {413}, After::closed},
               {"11 bytes in one chunk", post_chunked("b\r\n0123456789a\r\n0\r\n\r\n"), {413}, After::closed},
               {"11 bytes in two chunks", post_chunked("a\r\n0123456789\r\n1\r\na\r\n0\r\n\r\n"), {413}, After::closed},
               {"a huge chunk", post_chunked("fffffff\r\n0123456789a"), {413}, After::closed}});
  for (const char* limit : {"request_line", "header_fields", "header_bytes", "body"}) {
    INFO(limit);
    CHECK(limit_count(server, limit) > 0);
  }
}

// No more than 64 KiB were read, so a longer head never came to its end, although the limits allowed it.
TEST_CASE("heads may be as long as their options allow", "[http]") {
  for (const char* survival_memory : {"32MiB", "0"}) {
    const ServerProcess server({.workers = 1,
                                .arguments = {"--max-header-bytes", "512KiB", "--max-request-line", "256KiB",
                                              "--survival-memory", survival_memory}});
    for (const std::size_t length : {70'000, 140'000, 500'000}) {
      const std::string head = get_with("X: " + std::string(length, 'a') + "\r\n");
      check_table(server, {{std::to_string(length) + " bytes", head, {200}}});
    }
    check_table(
        server,
        {{"a request line of 200 KiB", get_of_length(200 * 1024), {404}},
         {"a value above 512 KiB", get_with("X: " + std::string(600 * 1024, 'a') + "\r\n"), {431}, After::closed}});
    HttpConnection pipelined(server.address());
    const std::string long_head = get_with("X: " + std::string(200'000, 'a') + "\r\n");
    pipelined.send_raw("GET /slow?ms=50 HTTP/1.1\r\nHost: a\r\n\r\n" + long_head + long_head);
    for (int i = 0; i < 3; ++i) CHECK(pipelined.read_response().status == 200);
  }
}

TEST_CASE("a route's own body limit wins over the server's", "[http]") {
  const ServerProcess server({.workers = 1});
  const Headers form{{"Content-Type", "application/x-www-form-urlencoded"}};
  CHECK(post(server.address(), "/echo", std::string(1024 * 1024, 'a')).status == 200);
  CHECK(post(server.address(), "/echo", std::string(1024 * 1024 + 1, 'a')).status == 413);
  CHECK(post(server.address(), "/login", "user=" + std::string(5000, 'a'), form).status == 413);
  CHECK(post(server.address(), "/upload", std::string(3 * 1024 * 1024, 'a')).status == 200);
}

TEST_CASE("a client that sends its head slowly is answered 408", "[http]") {
  const ServerProcess server({.workers = 1, .arguments = {"--header-timeout", "300ms"}});
  HttpConnection connection(server.address());
  connection.send_raw("GET /hello HTTP/1.1\r\nHost:");
  CHECK(connection.read_response().status == 408);
  CHECK(connection.closed_within(5s));
  CHECK(limit_count(server, "header_time") == 1);
}

TEST_CASE("a client that trickles its head is answered 408 all the same", "[http]") {
  const ServerProcess server({.workers = 1, .arguments = {"--header-timeout", "400ms"}});
  HttpConnection connection(server.address());
  connection.send_raw("GET /hello HTTP/1.1\r\nHost: a\r\nX: ");
  while (!connection.readable_within(50ms)) connection.send_raw("a");
  CHECK(connection.read_response().status == 408);
}

TEST_CASE("a body that stops arriving is answered 408", "[http]") {
  const ServerProcess server({.workers = 1, .arguments = {"--body-timeout", "300ms"}});
  HttpConnection connection(server.address());
  connection.send_raw(post_with("Content-Length: 5\r\n", "he"));
  CHECK(connection.read_response().status == 408);
  CHECK(connection.closed_within(5s));
  CHECK(limit_count(server, "body_time") == 1);
}

TEST_CASE("an idle connection is closed without a response", "[http]") {
  const ServerProcess server(
      {.workers = 1, .arguments = {"--keep-alive-timeout", "300ms", "--header-timeout", "300ms"}});
  HttpConnection used(server.address());
  CHECK(used.get("/hello").status == 200);
  CHECK(used.closed_within(5s));
  HttpConnection silent(server.address());
  CHECK(silent.closed_within(15s));
  CHECK(limit_count(server, "keep_alive_time") == 1);
  CHECK(limit_count(server, "header_time") == 1);
}

TEST_CASE("a connection ends after keep_alive_requests, announced in the last response", "[http]") {
  const ServerProcess server({.workers = 1, .arguments = {"--keep-alive-requests", "3"}});
  HttpConnection connection(server.address());
  CHECK_FALSE(connection.get("/hello").has("Connection"));
  CHECK_FALSE(connection.get("/hello").has("Connection"));
  CHECK(connection.get("/hello").header("Connection") == "close");
  CHECK(connection.closed_within(5s));
  CHECK(limit_count(server, "keep_alive_requests") == 1);
}

TEST_CASE("a connection ends at keep_alive_age, announced in its last response", "[http]") {
  const ServerProcess server({.workers = 1, .arguments = {"--keep-alive-age", "500ms"}});
  HttpConnection connection(server.address());
  CHECK_FALSE(connection.get("/hello").has("Connection"));
  CHECK(eventually(5s, [&] { return connection.get("/hello").header("Connection") == "close"; }));
  CHECK(connection.closed_within(5s));
  CHECK(limit_count(server, "keep_alive_age") == 1);
}

TEST_CASE("a client that sends below min_receive_rate is answered 408", "[http]") {
  const ServerProcess server({.workers = 1, .arguments = {"--header-timeout", "1m", "--request-timeout", "1m"}});
  HttpConnection head(server.address());
  head.send_raw("GET /hello HTTP/1.1\r\nHost: a\r\nX: ");
  HttpConnection body(server.address());
  body.send_raw(post_with("Content-Length: 100000\r\n", "a"));
  HttpConnection quick(server.address());
  quick.send_raw(post_with("Content-Length: 100000\r\n", "a"));
  const auto begin = Clock::now();
  const std::string enough(500, 'a');  // every 100 ms: ten times the rate
  while (!body.readable_within(50ms) && Clock::now() - begin < 20s) {
    head.send_raw("a");
    body.send_raw("a");
    quick.send_raw(enough);
    static_cast<void>(head.readable_within(50ms));
  }
  CHECK(head.read_response().status == 408);
  CHECK(body.read_response().status == 408);
  CHECK(limit_count(server, "receive_rate") == 2);
  CHECK_FALSE(quick.readable_within(0ms));
}

TEST_CASE("connections above max_connections are answered 503 and those below are served", "[http]") {
  const ServerProcess server({.workers = 1, .arguments = {"--max-connections", "2"}});
  HttpConnection first(server.address());
  HttpConnection second(server.address());
  CHECK(first.get("/hello").status == 200);
  CHECK(second.get("/hello").status == 200);
  HttpConnection third(server.address());
  const HttpResponse refused = third.get("/hello");
  CHECK(refused.status == 503);
  CHECK(refused.has("Retry-After"));
  CHECK(third.closed_within(5s));
  CHECK(first.get("/hello").status == 200);
  CHECK(limit_count(server, "connections") > 0);  // this request itself is above the limit, but is answered
}

TEST_CASE("a handler that takes too long is answered 504", "[http]") {
  const ServerProcess server({.app = app_path("apps/deadline"), .workers = 1});
  HttpConnection connection(server.address());
  CHECK(connection.get("/waits").status == 504);
  CHECK(connection.get("/ends").status == 200);
  CHECK(limit_count(server, "deadline") == 1);
}

TEST_CASE("requests above max_in_flight are answered 503 and the others are served", "[http]") {
  const ServerProcess server({.workers = 1, .arguments = {"--max-in-flight", "2"}});
  HttpConnection first(server.address());
  HttpConnection second(server.address());
  first.send_raw(post_with("Content-Length: 5\r\n", "he"));
  second.send_raw(post_with("Content-Length: 5\r\n", "he"));
  CHECK(eventually(10s, [&] { return get(server.address(), "/hello").status == 503; }));
  CHECK(get(server.address(), "/health").status == 200);
  CHECK(limit_count(server, "in_flight") > 0);
  for (HttpConnection* const connection : {&first, &second}) {
    connection->send_raw("llo");
    CHECK(connection->read_response().status == 200);
  }
  CHECK(get(server.address(), "/hello").status == 200);
}
