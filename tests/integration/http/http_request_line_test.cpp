// Request lines (RFC 9112 section 3).
#include "integration/http/framing_table.h"
#include "support/catch.h"

using namespace pronghorn::test;

TEST_CASE("only CRLF ends a line, of a head or of chunks", "[http]") {
  check_table(ServerProcess({.workers = 1}), line_end_cases());
}

TEST_CASE("a malformed request line is answered 400", "[http]") {
  check_table(ServerProcess({.workers = 1}), request_line_cases());
}

TEST_CASE("HTTP/1.1 and HTTP/1.0 are spoken, other versions are answered 505 or 400", "[http]") {
  check_table(ServerProcess({.workers = 1}), version_cases());
}

TEST_CASE("the target is a path, an absolute http URI, or * for OPTIONS", "[http]") {
  const ServerProcess server({.workers = 1});
  check_table(server, target_cases());
  check_table(server, odd_path_cases());
}

TEST_CASE("OPTIONS * and OPTIONS of a path are answered", "[http]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  const int whole_server = connection.request("OPTIONS", "*").status;
  CHECK((whole_server == 200 || whole_server == 204));
  const HttpResponse path = connection.request("OPTIONS", "/echo");
  CHECK((path.status == 200 || path.status == 204));
  CHECK(path.header("Allow").find("POST") != std::string::npos);
}

TEST_CASE("a method that no route has is answered 501, and methods are case-sensitive", "[http]") {
  check_table(ServerProcess({.workers = 1}), method_cases());
}

TEST_CASE("TRACE does not send a request back", "[http]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  const HttpResponse response = connection.request("TRACE", "/hello", {{"Cookie", "secret=1"}});
  CHECK((response.status == 405 || response.status == 501));
  CHECK(response.body.find("secret") == std::string::npos);
}
