// Expect: 100-continue (RFC 9110 section 10.1.1).
#include "integration/http/framing_table.h"
#include "support/catch.h"

using namespace pronghorn::test;

namespace {

std::string expecting(const std::string& expectation, const std::string& length = "5") {
  return post_with("Content-Length: " + length + "\r\nExpect: " + expectation + "\r\n", "");
}

}  // namespace

TEST_CASE("a client that expects 100 Continue gets it when the handler reads the body", "[http]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  connection.send_raw(expecting("100-continue"));
  CHECK(connection.read_response().status == 100);
  connection.send_raw("hello");
  const HttpResponse response = connection.read_response();
  CHECK(response.status == 200);
  CHECK(response.body == "hello");
  CHECK(connection.get("/hello").status == 200);
}

TEST_CASE("the expectation has no case", "[http]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  connection.send_raw(expecting("100-Continue"));
  CHECK(connection.read_response().status == 100);
  connection.send_raw("hello");
  CHECK(connection.read_response().body == "hello");
}

TEST_CASE("a client that expects 100 Continue learns immediately that its body is too large", "[http]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  connection.send_raw(expecting("100-continue", "2000000"));
  CHECK(connection.read_response().status == 413);
  CHECK(connection.closed_within(5s));
}

TEST_CASE("a body that nobody reads is not requested from the client", "[http]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  connection.send_raw("POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  CHECK(connection.read_response().status == 404);
}

TEST_CASE("an unknown expectation is answered 417, and HTTP/1.0 has none", "[http]") {
  check_table(ServerProcess({.workers = 1}), expect_cases());
}
