// Connections in the accept queue of a blocked worker are served by whoever comes after it; none is reset.
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>

#include "support/catch.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

// Stops the worker of a slot and connects until some clients wait in its queue.
class Parked {
 public:
  explicit Parked(const ServerProcess& server, int slot = 0) : victim_(server.worker(slot).at("pid").get<pid_t>()) {
    REQUIRE(::kill(victim_, SIGSTOP) == 0);
    REQUIRE(eventually(5s, [&] { return process_state(victim_) == 'T'; }));
    for (int i = 0; i < 24; ++i) {
      clients_.emplace_back(server.address()).send_raw("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    // About half of them are in the queue of the blocked worker, unless the machine is so busy that the other worker has
    // been told already to accept for it.
    if (within(300ms, [this] { return waiting() == 0; })) WARN("the queue is empty already");
  }

  [[nodiscard]] pid_t victim() const noexcept { return victim_; }

  void check_served() {
    for (HttpConnection& client : clients_) CHECK(client.read_response().body == "Hello, World!");
  }

 private:
  [[nodiscard]] std::ptrdiff_t waiting() {
    return std::ranges::count_if(clients_, [](HttpConnection& client) { return !client.readable_within(0ms); });
  }

  pid_t victim_;
  std::vector<HttpConnection> clients_;
};

}  // namespace

TEST_CASE("connections that wait for a worker are served when it is killed", "[queue][kill]") {
  const ServerProcess server({.workers = 2});
  Parked parked(server);
  REQUIRE(::kill(parked.victim(), SIGKILL) == 0);
  parked.check_served();
}

TEST_CASE("connections that wait for a worker are served when the watchdog ends it", "[queue][kill]") {
  const ServerProcess server({.workers = 2, .arguments = {"--worker-timeout", "1s"}});
  Parked parked(server);
  parked.check_served();
}

TEST_CASE("connections that wait for a worker are served when it is replaced", "[queue][reload]") {
  const ServerProcess server({.workers = 2, .arguments = {"--drain-timeout", "500ms"}});
  Parked parked(server);
  server.signal(SIGHUP);
  parked.check_served();
}

TEST_CASE("connections that wait for a worker are served when its slot is scaled away", "[queue][scale]") {
  const ServerProcess server({.workers = 2, .arguments = {"--drain-timeout", "500ms"}});
  Parked parked(server, 1);
  server.signal(SIGTTOU);
  parked.check_served();
  CHECK(server.wait_ready(1));
}

// Its clients waited until it had descriptors again.
TEST_CASE("new clients of a worker without descriptors are served by another", "[queue][overload]") {
  const ServerProcess server({.workers = 2});
  const pid_t victim = server.worker_pids().at(0);
  rlimit limit{};
  REQUIRE(::prlimit(victim, RLIMIT_NOFILE, nullptr, &limit) == 0);
  limit.rlim_cur = 3;
  REQUIRE(::prlimit(victim, RLIMIT_NOFILE, &limit, nullptr) == 0);
  for (int i = 0; i < 16; ++i) CHECK(get(server.address(), "/hello").status == 200);
}
