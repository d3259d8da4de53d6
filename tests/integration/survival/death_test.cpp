// What clients on open connections see when the worker that serves them dies.
#include <signal.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "integration/survival/clients.h"
#include "support/catch.h"
#include "support/clients/http_client.h"
#include "support/processes/process.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

std::vector<HttpConnection> connect(const ServerProcess& server, int count) {
  std::vector<HttpConnection> connections;
  for (int i = 0; i < count; ++i) connections.emplace_back(server.address());
  return connections;
}

void check_served(std::vector<HttpConnection>& connections) {
  for (HttpConnection& connection : connections) CHECK(connection.get("/hello").status == 200);
}

void kill_worker(const ServerProcess& server, int slot, int signal = SIGKILL) {
  REQUIRE(::kill(server.worker(slot).at("pid").get<pid_t>(), signal) == 0);
}

void kill_all_workers(const ServerProcess& server) {
  for (const pid_t pid : server.worker_pids()) REQUIRE(::kill(pid, SIGKILL) == 0);
}

// Processes of the server that have ended and were not reaped.
int zombies_of(const ServerProcess& server) {
  int zombies = 0;
  for (const pid_t pid : children_of(server.pid())) zombies += process_state(pid) == 'Z' ? 1 : 0;
  return zombies;
}

constexpr std::string_view kHead = "GET /hello HTTP/1.1\r\nHost: localhost\r\nX-Filler: some more bytes\r\n\r\n";

}  // namespace

TEST_CASE("idle connections of a killed worker are served by the others", "[survival]") {
  const ServerProcess server({.workers = 2});
  auto connections = keep(server, 16);
  kill_worker(server, 0);
  check_served(connections);
  kill_worker(server, 1);
  check_served(connections);
}

TEST_CASE("idle connections of the only worker wait for its replacement", "[survival]") {
  const ServerProcess server({.workers = 1});
  auto connections = keep(server, 8);
  for (int round = 0; round < 3; ++round) {
    kill_worker(server, 0);
    check_served(connections);
    REQUIRE(server.wait_ready(1));
  }
}

TEST_CASE("idle connections outlive all workers at once", "[survival]") {
  const ServerProcess server({.workers = 3});
  auto connections = keep(server, 24);
  kill_all_workers(server);
  check_served(connections);
}

TEST_CASE("connections that have not sent a request yet outlive their worker", "[survival]") {
  const ServerProcess server({.workers = 1});
  auto connections = connect(server, 4);
  REQUIRE(eventually(5s, [&] { return server.worker(0).at("connections") == 5; }));  // and that of /status itself
  kill_worker(server, 0);
  check_served(connections);
}

TEST_CASE("a head that is half sent is completed after its worker was killed", "[survival]") {
  const ServerProcess server({.workers = 1});
  for (std::size_t sent = 1; sent < kHead.size(); sent += 7) {
    HttpConnection connection(server.address());
    const auto before = server.status().at("totals").at("bytes_in").get<std::uint64_t>();
    REQUIRE(connection.send_raw(kHead.substr(0, sent)));
    REQUIRE(eventually(5s, [&] { return server.status().at("totals").at("bytes_in") >= before + sent; }));
    kill_worker(server, 0);
    REQUIRE(connection.send_raw(kHead.substr(sent)));
    CHECK(connection.read_response().status == 200);
    REQUIRE(server.wait_ready(1));
  }
}

TEST_CASE("a connection outlives a worker whose handler crashed elsewhere", "[survival]") {
  const ServerProcess server({.workers = 1});
  auto connections = keep(server, 4);
  try {
    static_cast<void>(post(server.address(), "/crash"));
  } catch (const ClientError&) {  // its own connection
  }
  check_served(connections);
}

TEST_CASE("a connection that is passed on keeps what it was: its number of requests", "[survival]") {
  const ServerProcess server({.workers = 1, .arguments = {"--keep-alive-requests", "4"}});
  HttpConnection connection(server.address());
  for (int request = 1; request <= 3; ++request) {
    CHECK_FALSE(connection.get("/hello").has("Connection"));
    kill_worker(server, 0);
  }
  CHECK(connection.get("/hello").header("Connection") == "close");
  CHECK(connection.closed_within(5s));
}

TEST_CASE("a connection whose client said goodbye does not outlive its last response", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  CHECK(connection.get("/hello", {{"Connection", "close"}}).status == 200);
  kill_worker(server, 0);
  CHECK(connection.closed_within(5s));
}

TEST_CASE("a connection through a proxy keeps its client", "[survival]") {
  const ServerProcess server({.workers = 1, .arguments = {"--proxy-protocol", "127.0.0.1", "--access-log", "log.txt"}});
  HttpConnection connection(server.address());
  REQUIRE(connection.send_raw("PROXY TCP4 192.0.2.7 198.51.100.1 56280 443\r\n"));
  CHECK(connection.get("/hello").status == 200);
  for (const pid_t pid : children_of(server.pid())) {  // without a PROXY header /status cannot be asked
    if (read_file("/proc/" + std::to_string(pid) + "/comm") == "pronghorn\n") REQUIRE(::kill(pid, SIGKILL) == 0);
  }
  CHECK(connection.get("/json").status == 200);
  CHECK(eventually(5s, [&] {
    const std::string lines = read_file(server.file("log.txt"));
    const auto last = lines.find("/json");
    return last != std::string::npos && lines.rfind("192.0.2.7", last) != std::string::npos;
  }));
}

TEST_CASE("idle connections of Unix sockets outlive their worker", "[survival]") {
  const TempDir directory;
  const ServerProcess server({.workers = 1, .listen = {"unix:" + (directory / "s")}});
  auto connections = keep(server, 4);
  kill_worker(server, 0);
  check_served(connections);
}

TEST_CASE("a client that pipelines gets every response in order, or none, after a kill", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  REQUIRE(connection.get("/hello").status == 200);
  kill_worker(server, 0);
  for (int id = 1; id <= 20; ++id) {
    REQUIRE(connection.send_raw("GET /users/" + std::to_string(id) + " HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  }
  for (int id = 1; id <= 20; ++id) CHECK(connection.read_response().json().at("id") == id);
}

TEST_CASE("the log and the counters say how many connections were handed over", "[survival]") {
  const ServerProcess server({.workers = 1});
  auto connections = keep(server, 5);
  kill_worker(server, 0);
  check_served(connections);
  REQUIRE(eventually(5s, [&] { return !server.log_lines("worker 0 was killed: ").empty(); }));
  const std::string line = server.log_lines("worker 0 was killed: ").at(0);
  const int count = std::stoi(line.substr(line.find("was killed: ") + 12));
  CHECK(line.find(" connections handed over") != std::string::npos);
  CHECK(count >= 5);  // the clients of /status may have left unnoticed
  CHECK(server.status().at("totals").at("connections_handed_over").at("death") == count);
  const std::string metrics = get(server.address(), "/metrics").body;
  const std::string expected =
      "pronghorn_connections_handed_over_total{slot=\"0\",reason=\"death\"} " + std::to_string(count);
  CHECK(metrics.find(expected) != std::string::npos);
}

TEST_CASE("guardians are reaped", "[survival]") {
  const ServerProcess server({.workers = 2});
  for (int round = 0; round < 3; ++round) {
    kill_all_workers(server);
    REQUIRE(server.wait_ready(2));
  }
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  CHECK(eventually(10s, [&] { return zombies_of(server) == 0; }));
  CHECK(eventually(10s, [&] { return children_of(server.pid()).size() == 4; }));  // two workers and their guardians
}

TEST_CASE("a worker that dies after its guardian takes its connections with it, and the log says so", "[survival]") {
  const ServerProcess server({.workers = 1});
  const pid_t worker = server.worker_pids().at(0);
  REQUIRE(::kill(worker, SIGSTOP) == 0);  // it cannot leave in order
  REQUIRE(eventually(5s, [&] { return process_state(worker) == 'T'; }));
  for (const pid_t pid : children_of(server.pid())) {
    if (pid != worker) REQUIRE(::kill(pid, SIGKILL) == 0);
  }
  REQUIRE(eventually(5s, [&] { return server.log_has("the guardian of worker 0 has ended"); }));
  REQUIRE(::kill(worker, SIGKILL) == 0);
  CHECK(eventually(5s, [&] { return server.log_has("worker 0 was killed: its connections ended with it"); }));
  CHECK(eventually(5s, [&] { return get(server.address(), "/hello").status == 200; }));
  CHECK(server.status().at("server").at("degraded").empty());
}

// Its worker's clients waited until somebody continued it.
TEST_CASE("a guardian that a signal has stopped passes the connections on when its worker dies", "[survival]") {
  const ServerProcess server({.workers = 1});
  const pid_t worker = server.worker_pids().at(0);
  HttpConnection client(server.address(), 30s);
  CHECK(client.get("/hello").status == 200);
  for (const pid_t pid : children_of(server.pid())) {
    if (pid == worker) continue;
    REQUIRE(::kill(pid, SIGSTOP) == 0);
    REQUIRE(eventually(5s, [&] { return process_state(pid) == 'T'; }));
  }
  REQUIRE(::kill(worker, SIGKILL) == 0);
  CHECK(client.get("/hello").status == 200);
}

TEST_CASE("a worker whose guardian has ended is replaced, and no connection ends", "[survival]") {
  const ServerProcess server({.workers = 1});
  const pid_t worker = server.worker_pids().at(0);
  HttpConnection client(server.address());
  CHECK(client.get("/hello").status == 200);
  for (const pid_t pid : children_of(server.pid())) {
    if (pid != worker) REQUIRE(::kill(pid, SIGKILL) == 0);
  }
  REQUIRE(eventually(5s, [&] { return server.log_has("the guardian of worker 0 has ended"); }));
  REQUIRE(eventually(20s, [&] { return server.log_has("worker 0 has stopped"); }));
  CHECK(server.log_has("(pid " + std::to_string(worker) + "): its guardian has ended"));
  CHECK(client.get("/hello").status == 200);
  CHECK_FALSE(server.log_has("its connections ended with it"));
  CHECK(server.status().at("server").at("degraded").empty());
}

TEST_CASE("with survival_memory 0 connections end with their worker, and no guardian runs", "[survival]") {
  const ServerProcess server({.workers = 1, .arguments = {"--survival-memory", "0"}});
  CHECK(children_of(server.pid()).size() == 1);
  auto connections = keep(server, 2);
  kill_worker(server, 0);
  for (HttpConnection& connection : connections) CHECK(connection.closed_within(5s));
  CHECK(get(server.address(), "/hello").status == 200);
}

TEST_CASE("clients see at once that a worker has ended in order", "[survival]") {
  ServerProcess server({.workers = 2});
  auto connections = keep(server, 4);
  REQUIRE(server.stop());
  for (HttpConnection& connection : connections) CHECK(connection.closed_within(10s));
}

TEST_CASE("thousands of idle connections are served after a kill", "[survival][load]") {
  constexpr int kConnections = 2'000;
  const ServerProcess server({.workers = 1});
  auto connections = keep(server, kConnections);
  kill_worker(server, 0);
  check_served(connections);
}

TEST_CASE("a connection keeps its number of requests over deaths with no request between them", "[survival]") {
  const ServerProcess server({.workers = 1, .arguments = {"--keep-alive-requests", "3"}});
  HttpConnection connection(server.address());
  for (int request = 1; request <= 2; ++request) CHECK_FALSE(connection.get("/hello").has("Connection"));
  for (int death = 0; death < 2; ++death) {
    kill_worker(server, 0);
    REQUIRE(server.wait_ready(1));
  }
  CHECK(connection.get("/hello").header("Connection") == "close");
}

TEST_CASE("bytes that a client sends as urgent do not cost it its connection", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  REQUIRE(connection.get("/hello").status == 200);
  REQUIRE(::send(connection.fd(), "G", 1, MSG_OOB) == 1);
  REQUIRE(connection.send_raw("ET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  CHECK(connection.read_response().status == 200);
  kill_worker(server, 0);
  CHECK(connection.get("/hello").status == 200);
}
