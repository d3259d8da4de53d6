// Forwarding fields: which client they name, and which peers are believed. The proxies of these tests are at 127.0.0.1;
// all other clients come over IPv6.
#include <string>

#include "integration/server/origin_server.h"
#include "support/catch.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;
using namespace std::string_literals;

namespace {

const std::vector<std::string> kTrusted{"--trusted-proxies", "127.0.0.1/32"};

std::string origin(const ServerProcess& server, const Headers& headers, std::size_t address = kProxy) {
  return get(server.address(address), "/origin", headers).body;
}

}  // namespace

TEST_CASE("trusted proxies name the client, the scheme and the host", "[proxy]") {
  const ServerProcess server(origin_server(kTrusted));
  CHECK(origin(server, {{"X-Forwarded-For", "9.9.9.9, 192.0.2.7"},
                        {"X-Forwarded-Proto", "https"},
                        {"X-Forwarded-Host", "shop.example:8443"}}) == "192.0.2.7 0 https shop.example:8443");
  CHECK(origin(server, {}).starts_with("127.0.0.1 "));
}

TEST_CASE("Forwarded is believed where the option says that the proxies set it", "[proxy]") {
  const Headers standard{{"Forwarded", "for=9.9.9.9, for=192.0.2.7;proto=https;host=shop.example"}};
  const Headers customary{{"X-Forwarded-For", "192.0.2.7"}, {"X-Forwarded-Proto", "https"}};
  const ServerProcess by_default(origin_server(kTrusted));
  CHECK(origin(by_default, standard).starts_with("127.0.0.1 "));
  CHECK(origin(by_default, standard).ends_with(" http localhost"));
  const ServerProcess chosen(origin_server({"--trusted-proxies", "127.0.0.1", "--forwarding-fields", "forwarded"}));
  CHECK(origin(chosen, standard) == "192.0.2.7 0 https shop.example");
  CHECK(origin(chosen, customary).starts_with("127.0.0.1 "));
  CHECK(origin(chosen, customary).ends_with(" http localhost"));
}

// A proxy appends to fields of one family. A client that sends the other family must gain nothing.
TEST_CASE("in a request with both families of forwarding fields neither is believed, and that is logged", "[proxy]") {
  const Headers both{{"X-Forwarded-For", "192.0.2.7"}, {"Forwarded", "for=192.0.2.8;proto=https;host=evil"}};
  for (const char* family : {"x-forwarded-for", "forwarded"}) {
    const ServerProcess server(origin_server({"--trusted-proxies", "127.0.0.1", "--forwarding-fields", family}));
    for (int i = 0; i < 3; ++i) {
      CHECK(origin(server, both).starts_with("127.0.0.1 "));
      CHECK(origin(server, both).ends_with(" http localhost"));
    }
    CHECK(get(server.address(kProxy), "/status", both).status == 404);
    CHECK(server.log_lines("both Forwarded and X-Forwarded-*").size() == 1);
  }
}

TEST_CASE("the requests of a connection that a trusted proxy shares do not mix", "[proxy]") {
  const ServerProcess server(origin_server(kTrusted));
  HttpConnection connection(server.address(kProxy));
  CHECK(connection.get("/origin", {{"X-Forwarded-For", "192.0.2.7"}}).body.starts_with("192.0.2.7 "));
  CHECK(connection.get("/origin").body.starts_with("127.0.0.1 "));
  CHECK(connection.get("/origin", {{"X-Forwarded-For", "192.0.2.8"}}).body.starts_with("192.0.2.8 "));
}

TEST_CASE("forwarding fields of untrusted peers are not believed", "[proxy]") {
  const Headers said{{"Forwarded", "for=192.0.2.7;proto=https;host=b"}, {"X-Forwarded-For", "192.0.2.7"}};
  const auto ignored = [&said](const ServerProcess& server, std::size_t address) {
    const std::string line = origin(server, said, address);
    CAPTURE(line);
    CHECK(line.starts_with(address == kProxy ? "127.0.0.1 " : "::1 "));
    CHECK(line.ends_with(" http localhost"));
  };
  const ServerProcess trusting(origin_server(kTrusted));
  ignored(trusting, kOther);
  const ServerProcess by_default(origin_server({}));
  ignored(by_default, kProxy);
}

TEST_CASE("the access log and the server's own endpoints look at the client, not at the proxy", "[proxy]") {
  ServerProcess server(
      origin_server({"--trusted-proxies", "127.0.0.1", "--admin-networks", "192.0.2.0/24", "--access-log", "-"}));
  const auto status = [&](const std::string& client) {
    return get(server.address(kProxy), "/status", {{"X-Forwarded-For", client}}).status;
  };
  CHECK(status("192.0.2.7") == 200);
  CHECK(status("192.0.2.7, 203.0.113.9") == 404);
  CHECK(status("127.0.0.1") == 404);
  REQUIRE(server.stop() == ExitStatus{.code = 0, .signal = 0});
  CHECK(server.log_lines("Z 192.0.2.7 \"GET /status\" 200").size() == 1);
  CHECK(server.log_lines("Z 203.0.113.9 \"GET /status\" 404").size() == 1);
}

TEST_CASE("figures are told to local clients only under a local Host", "[proxy]") {
  const ServerProcess server(origin_server({}));
  for (const std::size_t address : {kProxy, kOther}) {
    CHECK(get(server.address(address), "/status").status == 200);
    CHECK(get(server.address(address), "/status", {{"Host", "rebound.example"}}).status == 404);
    CHECK(get(server.address(address), "/metrics", {{"Host", "rebound.example:8080"}}).status == 404);
    CHECK(get(server.address(address), "/ready", {{"Host", "rebound.example"}}).status == 200);
  }
}

TEST_CASE("a proxy behind a PROXY header is trusted by its own address", "[proxy]") {
  const ServerProcess server(origin_server({"--proxy-protocol", "127.0.0.1", "--trusted-proxies", "192.0.2.0/24"}));
  HttpConnection connection(server.address(kProxy));
  connection.send_raw("PROXY TCP4 192.0.2.7 198.51.100.1 56280 443\r\n");
  CHECK(connection.get("/origin", {{"X-Forwarded-For", "198.51.100.9"}}).body.starts_with("198.51.100.9 "));
  HttpConnection local(server.address(kProxy));
  local.send_raw("\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"s);
  CHECK(local.get("/origin", {{"X-Forwarded-For", "198.51.100.9"}}).body.starts_with("127.0.0.1 "));
}

TEST_CASE("proxies on Unix sockets are trusted if the option says so", "[proxy]") {
  const TempDir directory;
  for (const bool trusted : {true, false}) {
    ServerOptions over_unix = origin_server({"--trusted-proxies", trusted ? "unix" : "127.0.0.1"});
    over_unix.listen = {"unix:" + (directory / "s")};
    const ServerProcess server(over_unix);
    CHECK(origin(server, {{"X-Forwarded-For", "192.0.2.7"}}) ==
          (trusted ? "192.0.2.7 0 http localhost" : "unix 0 http localhost"));
  }
}

TEST_CASE("the authority of an absolute-form target wins over Host", "[proxy]") {
  const ServerProcess server(origin_server({}));
  HttpConnection connection(server.address(kProxy));
  connection.send_raw("GET http://shop.example:8080/origin HTTP/1.1\r\nHost: other\r\n\r\n");
  CHECK(connection.read_response().body.ends_with(" http shop.example:8080"));
}

TEST_CASE("invalid networks are refused with what would be valid", "[proxy]") {
  for (const char* option : {"--proxy-protocol", "--trusted-proxies"}) {
    const auto result = run_program({program_path(), "check", option, "10.0.0.0/33"});
    CHECK(result.status == 2);
    CHECK(result.err.find(std::string(option) + ": \"10.0.0.0/33\" is not a network; use one such as 10.0.0.0/8") !=
          std::string::npos);
  }
}

// An id may have characters that no boundary may have, and more of them (RFC 2046 section 5.1.1).
TEST_CASE("the boundary of a response with several ranges does not come from the request's id", "[proxy]") {
  const ServerProcess server({.workers = 1, .arguments = {"--trusted-proxies", "127.0.0.1"}});
  const std::string id(100, '@');
  const HttpResponse response =
      get(server.address(), "/files/index.html", {{"Range", "bytes=0-1,4-5"}, {"X-Request-Id", id}});
  CHECK(response.status == 206);
  CHECK(response.header("X-Request-Id") == id);
  const std::string boundary =
      response.header("Content-Type").substr(std::string("multipart/byteranges; boundary=").size());
  CHECK(boundary.size() <= 70);
  CHECK(boundary.find('@') == std::string::npos);
}
