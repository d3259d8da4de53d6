// Responses that were under way when their worker was killed: what is known whole arrives whole.
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "integration/survival/clients.h"
#include "support/catch.h"
#include "support/clients/http_client.h"
#include "support/processes/server_process.h"
#include "support/temp_dir.h"

using namespace pronghorn::test;

namespace {

constexpr std::size_t kLong = 20'000'000;  // more than the buffers of both sockets

std::string download(std::size_t size) { return "/download?bytes=" + std::to_string(size); }

void kill_worker(const ServerProcess& server) {
  REQUIRE(::kill(server.worker_pids().at(0), SIGKILL) == 0);
  REQUIRE(server.wait_ready(1));
}

// Kills the worker that serves `connection` once its response has begun to arrive.
void kill_under(const ServerProcess& server, HttpConnection& connection) {
  REQUIRE(connection.readable_within(5s));
  kill_worker(server);
}

}  // namespace

TEST_CASE("a long response of a handler arrives whole, whatever is killed", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  REQUIRE(connection.send_raw(request("GET", download(kLong))));
  for (int kills = 0; kills < 3; ++kills) kill_under(server, connection);
  CHECK(connection.read_response().body == numbered(kLong));
  CHECK(connection.get("/hello").status == 200);
  const auto totals = server.status().at("totals");
  CHECK(totals.at("lost_requests").at("worker_died") == 0);
  CHECK(totals.at("requests_replayed") == 0);
  CHECK(server.log_has("1 response finished"));
}

// Once, the last bytes of the body were taken for a request of their own after a kill, and answered.
TEST_CASE("the body of a request whose long response is finished by another worker is no request", "[survival]") {
  const ServerProcess server({.workers = 1, .arguments = {"--max-body", "20MiB"}});
  const std::string body = numbered(kLong);
  std::string sent;
  SECTION("with a length") {
    sent = request("POST", "/echo", "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n") + body;
  }
  SECTION("in chunks") {
    sent = request("POST", "/echo", "Transfer-Encoding: chunked\r\n\r\n1312D00\r\n") + body + "\r\n0\r\n\r\n";
  }
  HttpConnection connection(server.address());
  REQUIRE(connection.send_raw(sent));
  kill_under(server, connection);
  CHECK(connection.read_response().body == body);
  CHECK(connection.get("/users/7").json().at("id") == 7);
}

TEST_CASE("a file arrives whole, also when it was deleted meanwhile", "[survival]") {
  const TempDir folder;
  const std::string content = numbered(kLong);
  write_file(folder / "long.bin", content);
  const ServerProcess server(
      {.app = app_path("apps/files"), .workers = 1, .environment = {{"FILES_FOLDER", folder.path()}}});
  HttpConnection connection(server.address());
  SECTION("all of it") {
    REQUIRE(connection.send_raw(request("GET", "/files/long.bin")));
    kill_under(server, connection);
    REQUIRE(::unlink((folder / "long.bin").c_str()) == 0);
    kill_worker(server);
    CHECK(connection.read_response().body == content);
  }
  SECTION("a range of it") {
    REQUIRE(connection.send_raw(request("GET", "/files/long.bin", "Range: bytes=1000-18000000\r\n\r\n")));
    kill_under(server, connection);
    CHECK(connection.read_response().body == content.substr(1'000, 17'999'001));
  }
}

TEST_CASE("requests behind a long response are answered after it, in order", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  std::string requests = request("GET", download(kLong));
  for (int id = 1; id <= 10; ++id) requests += request("GET", "/users/" + std::to_string(id));
  REQUIRE(connection.send_raw(requests));
  kill_under(server, connection);
  kill_worker(server);
  CHECK(connection.read_response().body == numbered(kLong));
  for (int id = 1; id <= 10; ++id) CHECK(connection.read_response().json().at("id") == id);
}

TEST_CASE("a client that pipelines and does not read gets everything", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  // What the ledger's buffer has room for, what its blocks have, and what becomes a file.
  const auto [size, kRequests] = GENERATE(table<std::size_t, int>({{50'000, 300}, {700'000, 20}, {1'500'000, 10}}));
  const std::string body = numbered(size);
  std::string requests;
  for (int i = 0; i < kRequests; ++i) requests += request("GET", download(body.size()));
  REQUIRE(connection.send_raw(requests));
  kill_under(server, connection);
  kill_worker(server);
  for (int i = 0; i < kRequests; ++i) REQUIRE(connection.read_response().body == body);
}

TEST_CASE("the last response of a connection arrives whole, then the connection ends", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  REQUIRE(connection.send_raw(request("GET", download(kLong), "Connection: close\r\n\r\n")));
  kill_under(server, connection);
  const HttpResponse response = connection.read_response();
  CHECK(response.header("Connection") == "close");
  CHECK(response.body == numbered(kLong));
  CHECK(connection.closed_within(5s));
}

TEST_CASE("a long upload whose worker is killed is answered 503, and its connection ends", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  const std::string half(300'000, 'x');
  const auto before = server.status().at("totals").at("bytes_in").get<std::uint64_t>();
  REQUIRE(connection.send_raw("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 600000\r\n\r\n" + half));
  REQUIRE(eventually(5s, [&] { return server.status().at("totals").at("bytes_in") >= before + half.size(); }));
  kill_worker(server);
  REQUIRE(connection.send_raw(half));
  const HttpResponse response = connection.read_response();
  CHECK(response.status == 503);
  CHECK(response.header("Retry-After") == "1");
  CHECK(response.header("Connection") == "close");
  CHECK(connection.closed_within(5s));
}

TEST_CASE("nothing is executed behind the last response of a connection, however many workers die", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  REQUIRE(
      connection.send_raw(request("GET", download(kLong), "Connection: close\r\n\r\n") + request("GET", "/users/1")));
  for (int kills = 0; kills < 2; ++kills) kill_under(server, connection);
  CHECK(connection.read_response().body == numbered(kLong));
  CHECK(connection.closed_within(5s));
}

TEST_CASE("a stream that ends with its connection is reset when its worker dies, not ended", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  REQUIRE(connection.send_raw("GET /stream?n=1000000&ms=1 HTTP/1.0\r\nHost: localhost\r\n\r\n"));
  kill_under(server, connection);
  char bytes[65536];
  ssize_t size = 0;
  do {
    size = ::recv(connection.fd(), bytes, sizeof bytes, 0);
  } while (size > 0);
  CHECK(size < 0);
  CHECK(errno == ECONNRESET);
}

TEST_CASE("a request that ends with its worker is in the access log of another", "[survival]") {
  const TempDir folder;
  const std::string log = folder / "access.log";
  const ServerProcess server({.workers = 1, .arguments = {"--access-log", log, "--access-log-format", "combined"}});
  HttpConnection connection(server.address());
  REQUIRE(connection.send_raw(request("GET", "/stream?n=1000000&ms=1")));
  kill_under(server, connection);
  CHECK(eventually(
      10s, [&] { return read_file(log).find("\"GET /stream?n=1000000&ms=1 HTTP/1.1\" 445 ") != std::string::npos; }));
  CHECK(eventually(5s, [&] { return server.status().at("totals").at("lost_requests").at("worker_died") == 1; }));
}
