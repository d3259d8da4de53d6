// Request lines as RFC 9112 section 3 says, and nothing else.
#include "integration/framing_table.h"
#include "support/catch.h"

using namespace pronghorn::test;

namespace {

const std::string kHost = "Host: a\r\n";

std::string get_target(const std::string& target) { return "GET " + target + " HTTP/1.1\r\n" + kHost + "\r\n"; }
std::string line(const std::string& request_line) { return request_line + "\r\n" + kHost + "\r\n"; }

}  // namespace

TEST_CASE("only CRLF ends a line of a request's head", "[http]") {
  const ServerProcess server({.workers = 1});
  check_table(server, {{"CRLF", get_with(""), {200}},
                       {"bare LF everywhere", "GET /hello HTTP/1.1\nHost: a\n\n", {400}, After::closed},
                       {"bare LF after the request line", "GET /hello HTTP/1.1\nHost: a\r\n\r\n", {400}, After::closed},
                       {"bare LF after a field", "GET /hello HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", {400}, After::closed},
                       {"bare LF as the empty line", "GET /hello HTTP/1.1\r\nHost: a\r\n\n", {400}, After::closed},
                       {"bare CR after the request line", "GET /hello HTTP/1.1\rHost: a\r\n\r\n", {400}, After::closed},
                       {"bare CR after a field", "GET /hello HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", {400}, After::closed},
                       {"bare CR hides a field",
                        "GET /hello HTTP/1.1\r\nHost: a\r\nX: b\rContent-Length: 5\r\n\r\n",
                        {400},
                        After::closed},
                       {"two CR before LF", "GET /hello HTTP/1.1\r\r\nHost: a\r\n\r\n", {400}, After::closed},
                       {"CR CR LF ends the head", "GET /hello HTTP/1.1\r\nHost: a\r\n\r\r\n", {400}, After::closed},
                       {"one empty line before the request", "\r\n" + get_with(""), {200}},
                       {"bare LF before the request", "\n" + get_with(""), {400}, After::closed},
                       {"bare CR before the request", "\r" + get_with(""), {400}, After::closed}});
}

TEST_CASE("a malformed request line is answered 400", "[http]") {
  const ServerProcess server({.workers = 1});
  check_table(
      server,
      {{"blank first", line(" GET /hello HTTP/1.1"), {400}, After::closed},
       {"two blanks before the target", line("GET  /hello HTTP/1.1"), {400}, After::closed},
       {"two blanks before the version", line("GET /hello  HTTP/1.1"), {400}, After::closed},
       {"blank at the end", line("GET /hello HTTP/1.1 "), {400}, After::closed},
       {"tabs between the parts", line("GET\t/hello\tHTTP/1.1"), {400}, After::closed},
       {"no version", "GET /hello\r\n\r\n", {400}, After::closed},
       {"no target", line("GET HTTP/1.1"), {400}, After::closed},
       {"only a method", line("GET"), {400}, After::closed},
       {"blank in the target", line("GET /hel lo HTTP/1.1"), {400}, After::closed},
       {"text behind the version", line("GET /hello HTTP/1.1 more"), {400}, After::closed},
       {"no token as the method", line("G(T /hello HTTP/1.1"), {400}, After::closed},
       {"NUL in the method", line(std::string("G\0T /hello HTTP/1.1", 19)), {400}, After::closed},
       {"a TLS client", std::string("\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n", 15), {400}, After::closed},
       {"garbage", "\xff\xfe\xfd\r\n\r\n", {400}, After::closed}});
}

TEST_CASE("HTTP/1.1 and HTTP/1.0 are spoken, other versions are answered 505 or 400", "[http]") {
  const ServerProcess server({.workers = 1});
  check_table(server, {{"1.0", line("GET /hello HTTP/1.0"), {200}, After::closed, "Hello, World!"},
                       {"1.0 without Host", "GET /hello HTTP/1.0\r\n\r\n", {200}, After::closed},
                       {"1.0 kept alive", "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", {200}},
                       {"1.2", line("GET /hello HTTP/1.2"), {505}, After::closed},
                       {"2.0", line("GET /hello HTTP/2.0"), {505}, After::closed},
                       {"3.0", line("GET /hello HTTP/3.0"), {505}, After::closed},
                       {"0.9", line("GET /hello HTTP/0.9"), {505}, After::closed},
                       {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {505}, After::closed},
                       {"lower case", line("GET /hello http/1.1"), {400}, After::closed},
                       {"two digits", line("GET /hello HTTP/1.10"), {400}, After::closed},
                       {"two digits before the dot", line("GET /hello HTTP/11.1"), {400}, After::closed},
                       {"no minor version", line("GET /hello HTTP/1"), {400}, After::closed},
                       {"another protocol", line("GET /hello ICAP/1.0"), {400}, After::closed}});
}

TEST_CASE("the target is a path, an absolute http URI, or * for OPTIONS", "[http]") {
  const ServerProcess server({.workers = 1});
  check_table(server, {{"percent-encoded", get_target("/hel%6Co"), {200}},
                       {"empty query", get_target("/hello?"), {200}},
                       {"absolute", get_target("http://a/hello"), {200}, After::kept, "Hello, World!"},
                       {"absolute, another host than Host", get_target("http://b:81/hello"), {200}},
                       {"absolute, upper case scheme", get_target("HTTP://a/hello"), {200}},
                       {"absolute without Host", "GET http://a/hello HTTP/1.1\r\n\r\n", {400}, After::closed},
                       {"absolute without authority", get_target("http:///hello"), {400}, After::closed},
                       {"absolute with user", get_target("http://me@a/hello"), {400}, After::closed},
                       {"absolute with another scheme", get_target("ftp://a/hello"), {400}, After::closed},
                       {"* for GET", get_target("*"), {400}, After::closed},
                       {"authority for GET", get_target("a:80"), {400}, After::closed},
                       {"no slash first", get_target("hello"), {400}, After::closed},
                       {"fragment", get_target("/hello#part"), {400}, After::closed},
                       {"control character", get_target("/hel\x01lo"), {400}, After::closed},
                       {"DEL", get_target("/hel\x7flo"), {400}, After::closed},
                       {"NUL", get_target(std::string("/hel\0lo", 7)), {400}, After::closed},
                       {"raw UTF-8", get_target("/h\xc3\xa9llo"), {400}, After::closed}});
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

TEST_CASE("an unknown method is answered 501, and methods have case", "[http]") {
  const ServerProcess server({.workers = 1});
  check_table(server, {{"unknown", line("BREW /hello HTTP/1.1"), {501}, After::closed},
                       {"lower case", line("get /hello HTTP/1.1"), {501}, After::closed},
                       {"mixed case", line("Get /hello HTTP/1.1"), {501}, After::closed},
                       {"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", {501}, After::closed}});
}

TEST_CASE("TRACE does not send a request back", "[http]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  const HttpResponse response = connection.request("TRACE", "/hello", {{"Cookie", "secret=1"}});
  CHECK((response.status == 405 || response.status == 501));
  CHECK(response.body.find("secret") == std::string::npos);
}
