// Interim responses and trailers.
#include "integration/http/framing_table.h"
#include "support/catch.h"

using namespace pronghorn::test;

namespace {

ServerOptions messages_app() { return {.app = app_path("apps/messages"), .workers = 1}; }

std::string get_path(const std::string& path, const std::string& version = "HTTP/1.1") {
  return "GET " + path + " " + version + "\r\nHost: a\r\nConnection: close\r\n\r\n";
}

std::string answer_to(const ServerProcess& server, const std::string& request) {
  HttpConnection connection(server.address());
  connection.send_raw(request);
  return connection.read_rest(5s);
}

}  // namespace

TEST_CASE("early hints come before the response, and not to HTTP/1.0", "[http]") {
  ServerOptions options = messages_app();
  options.arguments = {"--early-hints", "true"};
  const ServerProcess server(options);
  HttpConnection connection(server.address());
  connection.send_raw(get_path("/hinted"));
  const HttpResponse hints = connection.read_response();
  CHECK(hints.status == 103);
  CHECK(hints.headers.size() == 2);
  CHECK(hints.header("Link") == "</style.css>; rel=preload; as=style");
  CHECK(connection.read_response().body == "done");
  CHECK(answer_to(server, get_path("/hinted", "HTTP/1.0")).starts_with("HTTP/1.1 200 "));
}

// nginx over HTTP/1.1 waits for the end of the response when it meets a 103.
TEST_CASE("early hints are sent only where the configuration asks for them", "[http]") {
  const ServerProcess server(messages_app());
  HttpConnection connection(server.address());
  connection.send_raw(get_path("/hinted"));
  CHECK(connection.read_response().status == 200);
}

TEST_CASE("a handler sees the trailers of a request when its body has ended, apart from the fields", "[http]") {
  const ServerProcess server(messages_app());
  const std::string head = "POST /trailer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  HttpConnection connection(server.address());
  connection.send_raw(head + "5\r\nhello\r\n0\r\nX-Other: 1\r\nx-sum:  532 \r\n\r\n");
  CHECK(connection.read_response().body == "532");
  connection.send_raw(head + "5\r\nhello\r\n0\r\n\r\n");
  CHECK(connection.read_response().body == "none");
}

TEST_CASE("a stream ends with its trailers, and without them for HTTP/1.0", "[http]") {
  const ServerProcess server(messages_app());
  CHECK(answer_to(server, get_path("/summed")).ends_with("\r\n9\r\nsome text\r\n0\r\nX-Sum: 9\r\n\r\n"));
  CHECK(answer_to(server, get_path("/summed", "HTTP/1.0")).ends_with("\r\n\r\nsome text"));
}
