// What becomes of a request that a worker was executing when it died.
#include <signal.h>

#include <string>

#include "integration/survival/clients.h"
#include "support/catch.h"
#include "support/clients/http_client.h"
#include "support/processes/server_process.h"
#include "support/system/plain_signals.h"

using namespace pronghorn::test;

namespace {

// Waits until the worker executes `count` requests, beside the one for /status; kills it.
void kill_while_executing(const ServerProcess& server, int count) {
  REQUIRE(eventually(5s, [&] { return server.worker(0).at("in_flight") == count + 1; }));
  REQUIRE(::kill(server.worker_pids().at(0), SIGKILL) == 0);
}

}  // namespace

TEST_CASE("a GET that waits when its worker is killed is run again, once", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  REQUIRE(connection.send_raw(request("GET", "/slow?ms=1500")));
  kill_while_executing(server, 1);
  const HttpResponse response = connection.read_response();
  CHECK(response.status == 200);
  CHECK(response.json().at("waited_ms") == 1500);
  CHECK(connection.get("/hello").status == 200);
  const auto totals = server.status().at("totals");
  CHECK(totals.at("requests_replayed") == 1);
  CHECK(totals.at("lost_requests").at("worker_died") == 0);
  CHECK(server.log_has(" handed over, 1 request run again"));
}

TEST_CASE("a GET that blocks its worker when that is killed is run again", "[survival]") {
  const ServerProcess server({.workers = 1});
  const auto victim = server.worker_pids().at(0);
  HttpConnection connection(server.address());
  REQUIRE(connection.send_raw(request("GET", "/block?ms=3000")));
  REQUIRE(eventually(5s, [&] { return server.control_command({"status"}).out.find("/block") != std::string::npos; }));
  REQUIRE(::kill(victim, SIGKILL) == 0);
  CHECK(connection.read_response().status == 200);
}

TEST_CASE("a request is not run a third time", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  REQUIRE(connection.send_raw(request("GET", "/slow?ms=60000")));
  kill_while_executing(server, 1);
  REQUIRE(server.wait_ready(1));
  kill_while_executing(server, 1);
  const HttpResponse response = connection.read_response();
  CHECK(response.status == 503);
  CHECK(response.header("Retry-After") == "1");
  CHECK(response.header("Content-Type") == "application/problem+json");
  CHECK(server.status().at("totals").at("requests_replayed") == 1);
  CHECK(connection.get("/hello").status == 200);
}

TEST_CASE("a POST whose worker is killed is answered 503, and its connection goes on", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  REQUIRE(connection.send_raw(request("POST", "/echo", "Content-Length: 100\r\n\r\nsome of it")));
  kill_while_executing(server, 1);
  const HttpResponse response = connection.read_response();
  CHECK(response.status == 503);
  CHECK(response.header("Retry-After") == "1");
  CHECK(eventually(5s, [&] { return server.log_has(" handed over, 1 answered 503"); }));
}

TEST_CASE("the request that crashed its worker is answered 500, and bystanders are run again", "[survival]") {
  const ServerProcess server({.workers = 1, .environment = kPlainSignals});
  HttpConnection bystander(server.address());
  REQUIRE(bystander.send_raw(request("GET", "/slow?ms=1000")));
  REQUIRE(eventually(5s, [&] { return server.worker(0).at("in_flight") == 2; }));
  for (const char* how : {"segv", "overflow"}) {
    HttpConnection connection(server.address());
    const HttpResponse response = connection.request("POST", std::string("/crash?how=") + how);
    CHECK(response.status == 500);
    CHECK(response.header("Content-Type") == "application/problem+json");
    const std::string id = response.json().at("request_id");
    CHECK(eventually(5s, [&] { return server.log_has("while executing POST /crash id=" + id); }));
    CHECK(connection.get("/hello").status == 200);
    if (how == std::string("segv")) CHECK(bystander.read_response().status == 200);
  }
  CHECK(server.log_has("1 request run again, 1 answered 500"));
}

TEST_CASE("requests that follow one whose worker was killed are answered in order", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  std::string requests = request("GET", "/slow?ms=300");
  for (int id = 1; id <= 10; ++id) requests += request("GET", "/users/" + std::to_string(id));
  REQUIRE(connection.send_raw(requests));
  kill_while_executing(server, 1);
  CHECK(connection.read_response().json().at("waited_ms") == 300);
  for (int id = 1; id <= 10; ++id) CHECK(connection.read_response().json().at("id") == id);
}

TEST_CASE("a response that has begun to leave ends with its worker", "[survival]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  REQUIRE(connection.send_raw(request("GET", "/events")));
  REQUIRE(connection.readable_within(5s));
  REQUIRE(::kill(server.worker_pids().at(0), SIGKILL) == 0);
  static_cast<void>(connection.read_rest(5s));
  CHECK(connection.closed_within(5s));
  CHECK(eventually(5s, [&] { return server.log_has(" handed over, 1 closed"); }));
}

TEST_CASE("a request that a handler kills its worker with runs twice at most", "[survival]") {
  const ServerProcess server({.workers = 2});
  HttpConnection connection(server.address());
  CHECK(connection.request("POST", "/crash?how=exit").status == 503);
  REQUIRE(server.wait_ready(2));
  CHECK(server.status().at("totals").at("restarts") == 1);
}
