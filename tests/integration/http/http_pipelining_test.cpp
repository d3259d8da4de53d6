// Several requests on one connection: answered in order, and none after one that ends the connection.
#include "integration/http/framing_table.h"
#include "support/catch.h"

using namespace pronghorn::test;

namespace {

const std::string kHello = get_with("");

std::string get_path(const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"; }

}  // namespace

TEST_CASE("pipelined requests are answered in order, up to the one that ends the connection", "[http]") {
  check_table(ServerProcess({.workers = 1}), pipeline_cases());
}

TEST_CASE("a slow request holds back the responses behind it", "[http]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  const auto begin = Clock::now();
  connection.send_raw(get_path("/slow?ms=150") + kHello + get_path("/slow?ms=10") + get_path("/users/7"));
  CHECK(connection.read_response().json() == nlohmann::json{{"waited_ms", 150}});
  CHECK(Clock::now() - begin >= 150ms);
  CHECK(connection.read_response().body == "Hello, World!");
  CHECK(connection.read_response().json() == nlohmann::json{{"waited_ms", 10}});
  CHECK(connection.read_response().json() == nlohmann::json{{"id", 7}});
}

TEST_CASE("500 requests sent at once get 500 responses", "[http]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  std::string all;
  for (int i = 0; i < 500; ++i) all += get_path("/users/" + std::to_string(i));
  connection.send_raw(all);
  for (int i = 0; i < 500; ++i) REQUIRE(connection.read_response().json() == nlohmann::json{{"id", i}});
}

TEST_CASE("streams can be pipelined too", "[http]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  connection.send_raw(get_path("/stream?n=2&ms=20") + get_path("/stream?n=1") + kHello);
  CHECK(connection.read_response().body == "line 1\nline 2\n");
  CHECK(connection.read_response().body == "line 1\n");
  CHECK(connection.read_response().body == "Hello, World!");
}

TEST_CASE("a response to HEAD has the fields of GET and no body", "[http]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  connection.send_raw("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n" + kHello +
                      "HEAD /stream?n=3 HTTP/1.1\r\nHost: a\r\n\r\n" + "HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n" +
                      kHello);
  const HttpResponse head = connection.read_response(true);
  const HttpResponse get = connection.read_response();
  CHECK(head.status == 200);
  CHECK(head.header("Content-Length") == "13");
  CHECK(head.header("Content-Type") == get.header("Content-Type"));
  CHECK(connection.read_response(true).status == 200);
  CHECK(connection.read_response(true).status == 404);
  CHECK(connection.read_response().body == "Hello, World!");
}

TEST_CASE("a client that disconnects in the middle of a request harms no other client", "[http]") {
  const ServerProcess server({.workers = 1});
  for (const std::string& part :
       {std::string("GET /hel"), std::string("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe"),
        post_with("Content-Length: 100000\r\n", std::string(100'000, 'a')), get_path("/slow?ms=100"),
        get_path("/stream?n=100000&ms=0")}) {
    HttpConnection polite(server.address());
    polite.send_raw(part);
    polite.finish_sending();
    HttpConnection rude(server.address());
    rude.send_raw(part);
    rude.abort();
  }
  CHECK(get(server.address(), "/hello").status == 200);
  CHECK(eventually(5s, [&] { return server.status().at("totals").at("connections") == 1; }));
  CHECK(server.status().at("totals").at("restarts") == 0);
}

TEST_CASE("a client that shuts down its sending side after the request still gets the response", "[http]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  connection.send_raw(get_path("/slow?ms=50"));
  connection.finish_sending();
  CHECK(connection.read_response().status == 200);
  CHECK(connection.closed_within(5s));
}
