// A worker may die between any two of its instructions. It is run one instruction at a time through what it does for a
// request, and killed; then its client must get exactly what it is due.
//
// Each point needs a server of its own, so these tests leave most points out. PRONGHORN_POINTS=1 takes every one, 10 every
// tenth.
#include <signal.h>

#include <cstdlib>
#include <functional>
#include <string>

#include "support/catch.h"
#include "support/clients/http_client.h"
#include "support/processes/server_process.h"
#include "support/processes/single_step.h"

using namespace pronghorn::test;

namespace {

// Of two points, in instructions.
const std::uint64_t distance = [] {
  const char* const wanted = std::getenv("PRONGHORN_POINTS");
  return wanted == nullptr ? 997 : std::strtoull(wanted, nullptr, 10);
}();

std::string numbered(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i % 251);
  return bytes;
}

std::string request(const std::string& method, const std::string& target, const std::string& more = "\r\n") {
  return method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + more;
}

struct Scenario {
  ServerOptions server = {.workers = 1};
  std::string before = {};                     // sent and read before the worker is stepped
  std::function<void(HttpConnection&)> act;    // what its client does then
  std::function<void(HttpConnection&)> check;  // and once it is dead
  std::uint64_t most = 12'000;                 // instructions: by then the worker has done its work
};

void die_at(std::uint64_t point, const Scenario& scenario) {
  ServerOptions options = scenario.server;
  options.environment.emplace_back("LD_BIND_NOW", "1");                      // the loader's work is not the worker's
  options.arguments.insert(options.arguments.end(), {"--overload", "off"});  // one instruction at a time is slow
  ServerProcess server(options);
  HttpConnection connection(server.address());
  const auto before = server.status().at("totals").at("bytes_in").get<std::uint64_t>();
  if (!scenario.before.empty()) {
    REQUIRE(connection.send_raw(scenario.before));
    REQUIRE(
        eventually(5s, [&] { return server.status().at("totals").at("bytes_in") >= before + scenario.before.size(); }));
  }
  SingleStep worker(server.worker_pids().at(0));
  scenario.act(connection);
  const std::uint64_t reached = worker.run(point);
  worker.kill();
  INFO("killed after " << reached << " instructions");
  scenario.check(connection);
  CHECK(connection.get("/").status != 503);  // and goes on
  // In order it would take a second longer: the supervisor waits for what the kernel says of the worker.
  for (const pid_t pid : server.processes()) ::kill(pid, SIGKILL);
  CHECK(server.wait_exit(5s));
}

void die_at_every_point(const Scenario& scenario) {
  if (!SingleStep::is_allowed()) {
    WARN("this machine does not allow ptrace: nothing is tested");
    return;
  }
  for (std::uint64_t point = 0; point < scenario.most; point += distance) die_at(point, scenario);
}

auto sends(std::string bytes) {
  return [bytes = std::move(bytes)](HttpConnection& connection) { REQUIRE(connection.send_raw(bytes)); };
}

void check_user(HttpConnection& connection, int id) {
  const HttpResponse response = connection.read_response();
  CHECK(response.status == 200);
  CHECK(response.json().at("id") == id);
}

// May not be run again.
void check_echo(HttpConnection& connection, std::string_view body) {
  const HttpResponse response = connection.read_response();
  if (response.status == 200)
    CHECK(response.body == body);
  else
    CHECK(response.status == 503);
}

}  // namespace

TEST_CASE("a GET is answered, wherever its worker dies", "[survival][points]") {
  die_at_every_point({.act = sends(request("GET", "/users/7")), .check = [](auto& client) { check_user(client, 7); }});
}

TEST_CASE("a POST is answered or refused, wherever its worker dies", "[survival][points]") {
  die_at_every_point({.act = sends(request("POST", "/echo", "Content-Length: 5\r\n\r\nhello")),
                      .check = [](auto& client) { check_echo(client, "hello"); }});
}

TEST_CASE("pipelined requests are answered in order, wherever their worker dies", "[survival][points]") {
  std::string requests;
  for (int id = 1; id <= 5; ++id) requests += request("GET", "/users/" + std::to_string(id));
  die_at_every_point({.act = sends(requests),
                      .check =
                          [](auto& client) {
                            for (int id = 1; id <= 5; ++id) check_user(client, id);
                          },
                      .most = 25'000});
}

TEST_CASE("a half-sent head is completed, wherever its worker dies", "[survival][points]") {
  const std::string head = request("GET", "/users/7");
  die_at_every_point({.act = sends(head.substr(0, 20)), .check = [&](auto& client) {
                        REQUIRE(client.send_raw(head.substr(20)));
                        check_user(client, 7);
                      }});
}

TEST_CASE("a head whose end arrives is answered, wherever its worker dies", "[survival][points]") {
  const std::string head = request("GET", "/users/7");
  die_at_every_point({.before = head.substr(0, 20), .act = sends(head.substr(20)), .check = [](auto& client) {
                        check_user(client, 7);
                      }});
}

TEST_CASE("a half-sent body is completed or refused, wherever its worker dies", "[survival][points]") {
  die_at_every_point(
      {.act = sends(request("POST", "/echo", "Content-Length: 10\r\n\r\nhello")), .check = [](auto& client) {
         REQUIRE(client.send_raw("world"));
         check_echo(client, "helloworld");
       }});
}

TEST_CASE("a file arrives whole, wherever its worker dies", "[survival][points]") {
  const TempDir folder;
  const std::string content = numbered(200'000);
  write_file(folder / "long.bin", content);
  const ServerOptions files{
      .app = app_path("apps/files"), .workers = 1, .environment = {{"FILES_FOLDER", folder.path()}}};
  die_at_every_point({.server = files, .act = sends(request("GET", "/files/long.bin")), .check = [&](auto& client) {
                        CHECK(client.read_response().body == content);
                      }});
}

TEST_CASE("a client that reads late gets everything, wherever its worker dies", "[survival][points]") {
  const std::string body = numbered(60'000);
  constexpr int kRequests = 150;
  std::string requests;
  for (int i = 0; i < kRequests; ++i) requests += request("GET", "/download?bytes=" + std::to_string(body.size()));
  const auto reads = [&](HttpConnection& client, int count) {
    for (int i = 0; i < count; ++i) REQUIRE(client.read_response().body == body);
  };
  die_at_every_point({.before = requests,
                      .act = [&](auto& client) { reads(client, 50); },
                      .check = [&](auto& client) { reads(client, kRequests - 50); },
                      .most = 25'000});
}
