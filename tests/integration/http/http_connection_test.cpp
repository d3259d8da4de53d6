// The life of a connection: half-closed clients, clients that do not read, bodies that no handler reads.
#include <signal.h>

#include <fstream>

#include "integration/http/framing_table.h"
#include "support/catch.h"

using namespace pronghorn::test;

namespace {

const std::string kHello = get_with("");

std::string get_path(const std::string& path) { return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"; }

int limit_count(const ServerProcess& server, const char* limit) {
  return server.status().at("totals").at("limits").at(limit).get<int>();
}

}  // namespace

TEST_CASE("requests after a slow one are answered although the client has finished sending", "[http]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  connection.send_raw(get_path("/slow?ms=100") + kHello + get_path("/users/7") + "GET /incomp");
  connection.finish_sending();
  CHECK(connection.read_response().status == 200);
  CHECK(connection.read_response().body == "Hello, World!");
  CHECK(connection.read_response().json() == nlohmann::json{{"id", 7}});
  CHECK(connection.closed_within(5s));
}

TEST_CASE("a download continues although the client has finished sending", "[http]") {
  const TempDir files;
  constexpr std::size_t kSize = 64 * 1024 * 1024;
  std::ofstream(files / "big.bin").seekp(kSize - 1).put('z');
  write_file(files / "p.toml", "[app]\nfiles = \"" + std::string(files.path()) + "\"\n");
  const ServerProcess server({.workers = 1, .arguments = {"--config", files / "p.toml"}});
  HttpConnection connection(server.address(), 20s);
  connection.send_raw(get_path("/files/big.bin"));
  connection.finish_sending();
  // Longer than the server waits for a client that looks disconnected.
  CHECK_FALSE(within(2500ms, [&] { return server.status().at("totals").at("connections") == 1; }));
  CHECK(connection.read_response().body.size() == kSize);
}

TEST_CASE("a client that waits for 100 Continue is not late with its body", "[http]") {
  const ServerProcess server({.workers = 1, .arguments = {"--body-timeout", "300ms"}});
  HttpConnection connection(server.address());
  connection.send_raw("GET /slow?ms=900 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  CHECK(connection.read_response().status == 200);
}

TEST_CASE("a response arrives complete although nobody reads the request's large body", "[http]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  connection.send_raw("GET /stream?n=5&ms=60 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "10000\r\n" + std::string(0x10000, 'a') + "\r\n";
  for (int i = 0; i < 8; ++i) connection.send_raw(chunk);
  CHECK(connection.read_response().body == "line 1\nline 2\nline 3\nline 4\nline 5\n");
}

TEST_CASE("a client that is still sending a large body can read why it was refused", "[http]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  connection.send_raw("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n");
  const std::string part(100'000, 'a');
  for (int i = 0; i < 200; ++i) REQUIRE(connection.send_raw(part));  // all of it, as simple clients do
  CHECK(connection.read_response().status == 413);
}

TEST_CASE("the deadline of a request counts while its body trickles in", "[http]") {
  const ServerProcess server({.workers = 1, .arguments = {"--request-timeout", "500ms"}});
  HttpConnection connection(server.address());
  connection.send_raw(post_with("Content-Length: 1000\r\n", "a"));
  CHECK(eventually(20s, [&] { return !connection.send_raw("a") || connection.readable_within(100ms); }));
  CHECK(connection.read_response().status == 504);
  CHECK(limit_count(server, "deadline") == 1);
}

TEST_CASE("empty lines do not keep an idle connection open", "[http]") {
  const ServerProcess server({.workers = 1, .arguments = {"--keep-alive-timeout", "500ms"}});
  HttpConnection connection(server.address());
  CHECK(connection.get("/hello").status == 200);
  CHECK(eventually(20s, [&] { return !connection.send_raw("\r\n") || connection.readable_within(100ms); }));
  CHECK(connection.closed_within(10s));
}

TEST_CASE("a client that sends requests and reads nothing gets a limited number of responses", "[http]") {
  const ServerProcess server(
      {.workers = 1, .arguments = {"--survival-memory", "0", "--max-queued-output", "64KiB", "--overload", "off"}});
  HttpConnection connection(server.address());
  const int count = 900;  // below keep_alive_requests
  std::string all;
  for (int i = 0; i < count; ++i) all += get_path("/stream?n=1000");  // about 10 KiB each
  connection.send_raw(all);
  CHECK(eventually(5s, [&] { return limit_count(server, "queued_output") > 0; }));
  CHECK(server.status().at("totals").at("requests") < count);
  const std::string expected = connection.read_response().body;
  CHECK(expected.ends_with("line 1000\n"));
  for (int i = 1; i < count; ++i) REQUIRE(connection.read_response().body == expected);
}

TEST_CASE("a cancelled write is discarded", "[http]") {
  const ServerProcess server({.app = app_path("apps/impatient"), .workers = 1});
  HttpConnection connection(server.address());
  connection.send_raw(get_path("/impatient"));
  REQUIRE(eventually(5s, [&] { return get(server.address(), "/given-up").body == "1"; }));
  CHECK(connection.read_response().body.ends_with("\nend\n"));
}

TEST_CASE("a stream that has ended is not blamed for a later crash", "[http]") {
  const ServerProcess server({.workers = 1});
  CHECK(get(server.address(), "/stream?n=2&ms=20").status == 200);
  ::kill(server.worker_pids().front(), SIGSEGV);
  REQUIRE(eventually(10s, [&] { return server.worker(0).at("restarts") == 1; }));
  CHECK(server.worker(0).at("last_exit").at("request") == "");
}

TEST_CASE("the access log counts the bytes of each pipelined response", "[http]") {
  const ServerProcess server({.workers = 1, .arguments = {"--access-log", "access.log", "--log-format", "json"}});
  HttpConnection connection(server.address());
  connection.send_raw(kHello + kHello + kHello);
  for (int i = 0; i < 3; ++i) connection.read_response();
  REQUIRE(eventually(5s, [&] { return read_file(server.file("access.log")).find("\n") != std::string::npos; }));
  std::istringstream lines(read_file(server.file("access.log")));
  std::vector<int> sizes;
  for (std::string line; std::getline(lines, line);) {
    const auto entry = nlohmann::json::parse(line);
    if (entry.at("target") == "/hello") sizes.push_back(entry.at("bytes").get<int>());
  }
  REQUIRE(sizes.size() == 3);
  CHECK(sizes[1] == sizes[0]);
  CHECK(sizes[2] == sizes[0]);
}
