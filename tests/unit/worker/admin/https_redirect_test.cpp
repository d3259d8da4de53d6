#include "worker/admin/https_redirect.h"

#include <optional>
#include <string>
#include <utility>

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::worker;

namespace {

// Also the application behind the redirect.
class Server final : public RequestHandler, public ExchangeOwner {
 public:
  void handle(Exchange&) noexcept override { response = Response(204); }
  void deadline_passed(Exchange&) noexcept override {}
  void refuse(Exchange&, int status, std::string_view) noexcept override { response = Response(status); }
  void respond(Exchange&, Response&& answer) override { response = std::move(answer); }
  void want_body(Exchange&) override {}
  std::optional<Response> response;
};

struct Asked {
  std::string host = "example.org";
  std::string path = "/";
  std::optional<std::string> query = std::nullopt;
  Peer peer{{"203.0.113.9", 5000}, false, false};
  std::string_view method = "GET";
};

// Its status, and its Location.
std::string answer(const Asked& asked, std::uint16_t port = 443) {
  Server server;
  HttpsRedirect redirect(server, port);
  Exchange exchange;
  exchange.owner = &server;
  exchange.peer = &asked.peer;
  exchange.head.method = asked.method;
  exchange.head.path = asked.path;
  exchange.head.has_query = asked.query.has_value();
  if (asked.query) exchange.head.query = *asked.query;
  exchange.head.known[static_cast<std::size_t>(KnownHeader::host)] = 0;
  exchange.head.fields[exchange.head.field_count++] = {"Host", asked.host};
  redirect.handle(exchange);
  REQUIRE(server.response);
  const std::string location(server.response->header("Location").value_or(""));
  return std::to_string(server.response->status()) + (location.empty() ? "" : " ") + location;
}

}  // namespace

TEST_CASE("a request over plain HTTP is sent to the same place over https") {
  CHECK(answer({}) == "308 https://example.org/");
  CHECK(answer({.path = "/a%20b/c", .query = "x=1&y=?"}) == "308 https://example.org/a%20b/c?x=1&y=?");
  CHECK(answer({.query = ""}) == "308 https://example.org/?");
  CHECK(answer({.path = "*", .method = "OPTIONS"}) == "308 https://example.org");
  CHECK(answer({.path = "/orders", .method = "POST"}) == "308 https://example.org/orders");
}

TEST_CASE("the redirect names the port of https, not that of the request") {
  CHECK(answer({.host = "example.org:80"}) == "308 https://example.org/");
  CHECK(answer({.host = "example.org:8080"}, 8443) == "308 https://example.org:8443/");
  CHECK(answer({.host = "[2001:db8::1]:8080"}, 8443) == "308 https://[2001:db8::1]:8443/");
  CHECK(answer({.host = "[2001:db8::1]"}) == "308 https://[2001:db8::1]/");
}

TEST_CASE("no redirect goes where the client did not ask") {
  CHECK(answer({.path = "//evil.example/"}) == "308 https://example.org//evil.example/");
  CHECK(answer({.host = ""}) == "400");
  CHECK(answer({.host = ":80"}) == "400");
  CHECK(answer({.host = "user@evil.example"}) == "400");
  CHECK(answer({.host = "a/b"}) == "400");
}

TEST_CASE("requests that are secure, local, or of a certificate authority are served") {
  CHECK(answer({.peer = {{"203.0.113.9", 5000}, false, true}}) == "204");
  Peer local;
  local.unix_socket = true;
  CHECK(answer({.peer = local}) == "204");
  CHECK(answer({.path = "/.well-known/acme-challenge/token"}) == "204");
  CHECK(answer({.path = "/.well-known/other"}) == "308 https://example.org/.well-known/other");
}

TEST_CASE("the port of https is that of the first address that serves it") {
  CHECK(https_port("http://0.0.0.0:80\nhttps://[::]:8443\nhttps://:9443") == 8443);
  CHECK(https_port("0.0.0.0:80\nunix:/run/x") == 443);
  CHECK(https_port("https://127.0.0.1:x\nhttps://127.0.0.1:70000\nhttps://127.0.0.1:0") == 443);
  CHECK(https_port("") == 443);
}
