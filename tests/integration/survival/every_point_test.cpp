// A worker may die between any two of its instructions. It is run one instruction at a time through what it does for a
// request, and killed; then its client must get exactly what it is due.
//
// Each point needs a server of its own, so these tests leave most points out. PRONGHORN_POINTS=1 takes every one, 10
// every tenth.
#include <signal.h>

#include <cstdlib>
#include <functional>
#include <optional>
#include <string>

#include "integration/survival/clients.h"
#include "support/catch.h"
#include "support/clients/http_client.h"
#include "support/processes/server_process.h"
#include "support/system/single_step.h"

using namespace pronghorn::test;

namespace {

// Of two points, in instructions.
const std::uint64_t distance = [] {
  const char* const wanted = std::getenv("PRONGHORN_POINTS");
  return wanted == nullptr ? 2999 : std::strtoull(wanted, nullptr, 10);
}();

struct Scenario {
  ServerOptions server = {.workers = 1};
  std::string before = {};                     // sent and read before the worker is stepped
  std::function<void(HttpConnection&)> act;    // what its client does then
  std::function<void(HttpConnection&)> check;  // and once it is dead
  // Instructions by which the worker has done its work, from its first read or write on. 0: some more than it needs
  // until its answer leaves.
  std::uint64_t most = 0;
};

// A client that has acted, and a worker that stands still before it reads what the client has sent, or sends more.
class Victim {
 public:
  explicit Victim(const Scenario& scenario) : server_(options_of(scenario)), client(server_.address()) {
    warm_up(scenario);  // what a worker does for its first request only is not what is looked at
    const auto bytes_in = [this] { return server_.status().at("totals").at("bytes_in").get<std::uint64_t>(); };
    const std::uint64_t read = bytes_in();
    if (!scenario.before.empty()) {
      REQUIRE(client.send_raw(scenario.before));
      REQUIRE(eventually(5s, [&] { return bytes_in() >= read + scenario.before.size(); }));
    }
    worker.emplace(server_.worker_pids().at(0));
    worker->run_until_idle();
    scenario.act(client);
    worker->run_until_io();
  }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;
  // A stop in order would take a second longer: the supervisor waits for what the kernel says of the worker.
  ~Victim() {
    worker.reset();
    for (const pid_t pid : server_.processes()) ::kill(pid, SIGKILL);
    CHECK(server_.wait_exit(5s));
  }

 private:
  static ServerOptions options_of(const Scenario& scenario) {
    ServerOptions options = scenario.server;
    for (const auto& variable : SingleStep::environment()) options.environment.push_back(variable);
    // One instruction at a time is slow: the worker must not be taken for one that is blocked or has too much to do.
    const char* const patient[] = {"--overload", "off", "--stall-threshold", "60s", "--worker-timeout", "60s"};
    options.arguments.insert(options.arguments.end(), std::begin(patient), std::end(patient));
    return options;
  }
  void warm_up(const Scenario& scenario) const {
    HttpConnection connection(server_.address());
    if (!scenario.before.empty()) REQUIRE(connection.send_raw(scenario.before));
    scenario.act(connection);
    scenario.check(connection);
  }

  ServerProcess server_;

 public:
  HttpConnection client;
  std::optional<SingleStep> worker;
};

std::uint64_t instructions_until_answer(const Scenario& scenario) {
  constexpr std::uint64_t kFar = 50'000;
  constexpr std::uint64_t kStride = 50;
  Victim victim(scenario);
  std::uint64_t done = 0;
  while (done < kFar && !victim.client.readable_within(0ms)) done += victim.worker->run(kStride);
  REQUIRE(done < kFar);
  victim.worker->kill();
  return done;
}

void die_at(std::uint64_t point, const Scenario& scenario) {
  Victim victim(scenario);
  const std::uint64_t reached = victim.worker->run(point);
  victim.worker->kill();
  INFO("killed after " << reached << " instructions");
  scenario.check(victim.client);
  CHECK(victim.client.get("/").status != 503);  // and goes on
}

void die_at_every_point(const Scenario& scenario) {
  if (!SingleStep::is_allowed()) return;
  const std::uint64_t most = scenario.most != 0 ? scenario.most : instructions_until_answer(scenario) + 4'000;
  for (std::uint64_t point = 0; point < most; point += distance) die_at(point, scenario);
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

TEST_CASE("a POST is run once at most, wherever its worker dies", "[survival][points]") {
  const TempDir folder;
  const std::string file = folder / "counts";
  std::size_t sent = 0;
  std::size_t answered = 0;
  die_at_every_point({.server = {.app = app_path("apps/counts"), .workers = 1, .environment = {{"COUNTS_FILE", file}}},
                      .act =
                          [&](auto& client) {
                            REQUIRE(client.send_raw(request("POST", "/", "Content-Length: 0\r\n\r\n")));
                            ++sent;
                          },
                      .check =
                          [&](auto& client) {
                            const int status = client.read_response().status;
                            CHECK((status == 200 || status == 503));
                            answered += status == 200 ? 1 : 0;
                            const std::size_t counted = read_file(file).size();
                            CHECK(counted >= answered);
                            CHECK(counted <= sent);
                            sent = answered = counted;  // each death on its own
                          }});
}

TEST_CASE("pipelined requests are answered in order, wherever their worker dies", "[survival][points]") {
  std::string requests;
  for (int id = 1; id <= 5; ++id) requests += request("GET", "/users/" + std::to_string(id));
  die_at_every_point({.act = sends(requests),
                      .check =
                          [](auto& client) {
                            for (int id = 1; id <= 5; ++id) check_user(client, id);
                          },
                      .most = 16'000});
}

TEST_CASE("a half-sent head is completed, wherever its worker dies", "[survival][points]") {
  const std::string head = request("GET", "/users/7");
  die_at_every_point({.act = sends(head.substr(0, 20)),
                      .check =
                          [&](auto& client) {
                            REQUIRE(client.send_raw(head.substr(20)));
                            check_user(client, 7);
                          },
                      .most = 4'000});
}

TEST_CASE("a head whose end arrives is answered, wherever its worker dies", "[survival][points]") {
  const std::string head = request("GET", "/users/7");
  die_at_every_point({.before = head.substr(0, 20), .act = sends(head.substr(20)), .check = [](auto& client) {
                        check_user(client, 7);
                      }});
}

TEST_CASE("a half-sent body is completed or refused, wherever its worker dies", "[survival][points]") {
  die_at_every_point({.act = sends(request("POST", "/echo", "Content-Length: 10\r\n\r\nhello")),
                      .check =
                          [](auto& client) {
                            REQUIRE(client.send_raw("world"));
                            check_echo(client, "helloworld");
                          },
                      .most = 4'000});
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
                      .most = 12'000});
}
