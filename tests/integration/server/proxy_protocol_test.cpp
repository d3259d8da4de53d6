// The PROXY protocol: who the client is when a load balancer passes bytes, not requests. The proxies of these tests are
// at 127.0.0.1; all other clients come over IPv6.
#include <string>

#include "integration/server/origin_server.h"
#include "support/catch.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;
using namespace std::string_literals;

namespace {

const std::vector<std::string> kProxyProtocol{"--proxy-protocol", "127.0.0.1/32"};
const std::string kLine = "PROXY TCP4 192.0.2.7 198.51.100.1 56280 443\r\n";
const std::string kBinary = "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\x0a\x00\x00\x01\xdb\xd8\x01\xbb"s;
const std::string kLocal = "\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"s;
const std::string kGet = "GET /origin HTTP/1.1\r\nHost: localhost\r\n\r\n";

double metric(const ServerProcess& server, const std::string& name) {
  const std::string text = get(server.address(kOther), "/metrics").body;
  const auto at = text.find("\n" + name + "{slot=\"0\"} ");
  REQUIRE(at != std::string::npos);
  return std::stod(text.substr(text.find(' ', at)));
}

// What /origin says to a request that begins with `header`.
std::string origin_after(const ServerProcess& server, const std::string& header) {
  HttpConnection connection(server.address(kProxy));
  connection.send_raw(header);
  return connection.get("/origin").body;
}

std::string origin(const ServerProcess& server, const Headers& headers, std::size_t address = kProxy) {
  return get(server.address(address), "/origin", headers).body;
}

}  // namespace

TEST_CASE("a PROXY header names the client of every request on its connection", "[proxy]") {
  const ServerProcess server(origin_server(kProxyProtocol));
  for (const std::string& header : {kLine, kBinary}) {
    HttpConnection connection(server.address(kProxy));
    connection.send_raw(header + kGet + kGet);
    CHECK(connection.read_response().body == "192.0.2.7 56280 http localhost");
    CHECK(connection.read_response().body == "192.0.2.7 56280 http localhost");
    CHECK(connection.get("/origin").body == "192.0.2.7 56280 http localhost");
  }
  CHECK(origin_after(server, "PROXY TCP6 2001:db8::7 ::1 1 2\r\n") == "2001:db8::7 1 http localhost");
  CHECK(origin_after(server, "PROXY UNKNOWN\r\n") == "unknown 0 http localhost");
  CHECK(origin_after(server, kLocal).starts_with("127.0.0.1 "));
}

TEST_CASE("a PROXY header may come byte by byte", "[proxy]") {
  const ServerProcess server(origin_server(kProxyProtocol));
  for (const std::string& header : {kLine, kBinary}) {
    HttpConnection connection(server.address(kProxy));
    for (const char byte : header + kGet) REQUIRE(connection.send_raw({&byte, 1}));
    CHECK(connection.read_response().body == "192.0.2.7 56280 http localhost");
  }
}

TEST_CASE("a proxy that sends no PROXY header is closed, counted and logged at a limited rate", "[proxy]") {
  const ServerProcess server(origin_server(kProxyProtocol));
  for (const std::string& bytes : {kGet, "PROXY TCP4 x\r\n"s, kLine.substr(0, 20) + "\n", "\r\n\r\n"s + kGet}) {
    CAPTURE(bytes);
    HttpConnection connection(server.address(kProxy));
    connection.send_raw(bytes);
    CHECK(connection.closed_within(5s));
  }
  CHECK(metric(server, "pronghorn_bad_requests_total") == 4);
  CHECK(server.log_lines("without a valid PROXY header").size() == 1);
  CHECK(origin_after(server, kLine) == "192.0.2.7 56280 http localhost");
}

TEST_CASE("a proxy that only probes the port is not logged", "[proxy]") {
  const ServerProcess server(origin_server(kProxyProtocol));
  {
    const HttpConnection connection(server.address(kProxy));
  }
  REQUIRE(eventually(5s, [&] { return metric(server, "pronghorn_connections") == 1; }));
  CHECK(metric(server, "pronghorn_bad_requests_total") == 0);
  CHECK(server.log_lines("PROXY").empty());
}

TEST_CASE("from anybody else a PROXY header is a bad request", "[proxy]") {
  const ServerProcess server(origin_server(kProxyProtocol));
  for (const std::string& header : {kLine, kBinary}) {
    HttpConnection connection(server.address(kOther));
    connection.send_raw(header + kGet);
    CHECK(connection.read_response().status == 400);
    CHECK(connection.closed_within(5s));
  }
  CHECK(origin(server, {}, kOther).starts_with("::1 "));
}

TEST_CASE("a PROXY header has the time that the head of a request has", "[proxy]") {
  const ServerProcess server(origin_server({"--proxy-protocol", "127.0.0.1", "--header-timeout", "500ms"}));
  HttpConnection silent(server.address(kProxy));
  HttpConnection slow(server.address(kProxy));
  slow.send_raw(kLine.substr(0, 20));
  CHECK(silent.closed_within(5s));
  CHECK(slow.closed_within(5s));
  CHECK(metric(server, "pronghorn_timeouts_total") == 2);
}

TEST_CASE("connections that wait for their PROXY header count as connections", "[proxy]") {
  const ServerProcess server(origin_server({"--proxy-protocol", "127.0.0.1", "--max-connections", "2"}));
  HttpConnection first(server.address(kProxy));
  REQUIRE(eventually(5s, [&] { return metric(server, "pronghorn_connections") == 2; }));  // and that of /metrics
  HttpConnection second(server.address(kProxy));
  HttpConnection third(server.address(kProxy));
  third.send_raw(kLine + kGet);
  CHECK(third.read_response().status == 503);
  first.abort();
  second.send_raw(kLine + kGet);
  CHECK(second.read_response().body == "192.0.2.7 56280 http localhost");
}

TEST_CASE("a server stops although a PROXY header is awaited", "[proxy]") {
  ServerProcess server(origin_server(kProxyProtocol));
  HttpConnection waiting(server.address(kProxy));
  REQUIRE(eventually(5s, [&] { return metric(server, "pronghorn_connections") == 2; }));
  CHECK(server.stop(8s) == ExitStatus{.code = 0, .signal = 0});
}

TEST_CASE("connections that the distributor passes on have PROXY headers, too", "[proxy]") {
  const ServerProcess server(origin_server({"--proxy-protocol", "127.0.0.1", "--balance", "round-robin"}));
  CHECK(origin_after(server, kLine) == "192.0.2.7 56280 http localhost");
}

TEST_CASE("the server's own endpoints look at the client that a PROXY header names", "[proxy]") {
  const ServerProcess server(origin_server({"--proxy-protocol", "127.0.0.1", "--admin-networks", "192.0.2.0/24"}));
  const auto status = [&](const std::string& header) {
    HttpConnection connection(server.address(kProxy));
    connection.send_raw(header);
    return connection.get("/status").status;
  };
  CHECK(status(kLine) == 200);
  CHECK(status("PROXY TCP4 203.0.113.9 198.51.100.1 1 2\r\n") == 404);
  CHECK(status("PROXY UNKNOWN\r\n") == 404);
  CHECK(status(kLocal) == 200);  // a health check of the proxy, on this machine
}

TEST_CASE("Unix sockets can have PROXY headers", "[proxy]") {
  const TempDir directory;
  ServerOptions over_unix = origin_server({"--proxy-protocol", "unix"});
  over_unix.listen = {"unix:" + (directory / "s")};
  const ServerProcess server(over_unix);
  CHECK(origin_after(server, kLine) == "192.0.2.7 56280 http localhost");
}
