// Clients that send requests before they have the responses to those before, to a worker that serves others as well.
#include <signal.h>

#include <string>

#include "integration/survival/clients.h"
#include "support/catch.h"
#include "support/clients/http_client.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

// A GET of about 1 KiB.
std::string padded_get(const std::string& target) {
  return request("GET", target, "X-Padding: " + std::string(950, 'p') + "\r\n\r\n");
}

void check_user(HttpConnection& connection, int id) {
  const HttpResponse response = connection.read_response();
  CHECK(response.status == 200);
  CHECK(response.json().at("id") == id);
}

// Once the worker has read something of another client, which has the read buffer then.
void kill_worker(const ServerProcess& server) {
  const auto victim = server.worker_pids().at(0);
  for (int i = 0; i < 3; ++i) CHECK(get(server.address(), "/health").status == 200);
  REQUIRE(::kill(victim, SIGKILL) == 0);
}

void wait_read(const ServerProcess& server, std::uint64_t bytes) {
  REQUIRE(eventually(5s, [&] { return server.status().at("totals").at("bytes_in") >= bytes; }));
}

}  // namespace

TEST_CASE("a client that always has requests under way gets them all answered", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  constexpr int kWindow = 4;
  constexpr int kRequests = 210;
  constexpr int kKill = 200;  // by then three times what the ledger keeps has passed
  const auto wait_of = [](int id) { return id > kKill ? 100 : 1 + id % 3; };
  const auto send = [&](int id) {
    REQUIRE(connection.send_raw(padded_get("/slow?ms=" + std::to_string(wait_of(id)))));
  };
  for (int id = 1; id <= kWindow; ++id) send(id);
  for (int id = 1; id + kWindow <= kRequests; ++id) {
    CHECK(connection.read_response().json().at("waited_ms") == wait_of(id));
    send(id + kWindow);
    if (id == kKill) kill_worker(server);
  }
}

TEST_CASE("requests behind a long body outlive the worker that has answered it", "[survival]") {
  const TempDir folder;
  const ServerProcess server(
      {.app = app_path("apps/counts"), .workers = 1, .environment = {{"COUNTS_FILE", folder / "counts"}}});
  HttpConnection connection(server.address());
  constexpr std::size_t kBody = 1'000'000;
  const std::string followers = request("GET", "/?ms=700") + request("GET", "/");
  // They arrive while the POST waits, and while it does not.
  for (const char* post : {"/?ms=300", "/"}) {
    REQUIRE(server.wait_ready(1));
    REQUIRE(connection.send_raw(request("POST", post, "Content-Length: " + std::to_string(kBody) + "\r\n\r\n") +
                                std::string(kBody, 'b') + followers));
    CHECK(connection.read_response().body == "counted");
    kill_worker(server);
    for (int i = 0; i < 2; ++i) CHECK(connection.read_response().body == "not counted");
  }
}

TEST_CASE("more requests than the ledger keeps, behind one that waits, are answered all the same", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  constexpr int kRequests = 150;
  std::string requests = request("GET", "/slow?ms=700");
  for (int id = 1; id <= kRequests; ++id) requests += padded_get("/users/" + std::to_string(id));
  REQUIRE(connection.send_raw(requests));
  wait_read(server, 60'000);
  kill_worker(server);
  CHECK(connection.read_response().json().at("waited_ms") == 700);
  for (int id = 1; id <= kRequests; ++id) check_user(connection, id);
}

TEST_CASE("requests that are sent while a response is read late are answered", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  constexpr int kRequests = 150;
  const std::string body = numbered(12'000'000);
  std::string requests = request("GET", "/download?bytes=" + std::to_string(body.size()));
  for (int id = 1; id <= kRequests; ++id) requests += padded_get("/users/" + std::to_string(id));
  REQUIRE(connection.send_raw(requests));
  wait_read(server, 60'000);
  kill_worker(server);
  CHECK(connection.read_response().body == body);
  for (int id = 1; id <= kRequests; ++id) check_user(connection, id);
}
