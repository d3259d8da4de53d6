// Hostile clients: the workers survive, answer other clients, and release what the attack has cost.
#include <sys/socket.h>

#include <algorithm>
#include <random>

#include "framing/framing_cases.h"
#include "support/catch.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

struct WorkerFacts {
  pid_t pid;
  std::size_t descriptors;
  std::uint64_t memory;
};

// Remembers the workers before an attack and checks that they are the same after it. Construct it after a first,
// smaller attack, which fills the pools.
class Untouched {
 public:
  explicit Untouched(const ServerProcess& server) : server_(server) {
    for (const pid_t pid : server.worker_pids()) before_.push_back({pid, open_descriptors(pid), resident_memory(pid)});
  }

  void check() const {
    constexpr std::uint64_t kSlack = 8U << 20;
    for (const WorkerFacts& worker : before_) {
      CHECK(eventually(10s, [&] { return open_descriptors(worker.pid) <= worker.descriptors; }));
      CHECK(resident_memory(worker.pid) <= worker.memory + kSlack);
    }
    const auto now = server_.status();
    CHECK(now.at("totals").at("restarts") == 0);
    CHECK(now.at("totals").at("in_flight") == 1);  // the request for the status
    for (const WorkerFacts& worker : before_) CHECK(is_running(worker.pid));
    CHECK(get(server_.address(), "/hello").status == 200);
  }

 private:
  const ServerProcess& server_;
  std::vector<WorkerFacts> before_;
};

// Opens `count` connections and sends bytes(i) on each.
template <class Bytes>
std::vector<HttpConnection> open_connections(const ServerProcess& server, std::size_t count, Bytes bytes) {
  std::vector<HttpConnection> connections;
  connections.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    connections.emplace_back(server.address()).send_raw(bytes(i));
  }
  return connections;
}

// Sends `count` inputs, 50 at a time on as many connections, and reads each connection to its end.
void send_all(const ServerProcess& server, const std::vector<std::string>& inputs, std::size_t count) {
  constexpr std::size_t kAtOnce = 50;
  std::size_t open = 0;
  for (std::size_t sent = 0; sent < count; sent += kAtOnce) {
    auto connections =
        open_connections(server, kAtOnce, [&](std::size_t i) { return inputs[(sent + i) % inputs.size()]; });
    for (HttpConnection& connection : connections) {
      connection.finish_sending();
      static_cast<void>(connection.read_rest(10s));
      if (!connection.readable_within(0ms)) ++open;  // its end would be readable
    }
  }
  CHECK(open == 0);
}

// Sends a byte on each connection again and again, until the first is answered.
void trickle_until_408(const ServerProcess& server, std::vector<HttpConnection>& connections) {
  CHECK(eventually(20s, [&] {
    for (HttpConnection& connection : connections) connection.send_raw("a");
    CHECK(get(server.address(), "/hello").status == 200);
    return connections.front().readable_within(0ms);
  }));
  for (HttpConnection& connection : connections) CHECK(connection.read_response().status == 408);
}

std::vector<std::string> malformed_requests() {
  std::vector<std::string> requests;
  for (FramingCase& test : all_framing_cases()) {
    if (test.after == After::closed && test.bytes.size() < 1000) requests.push_back(std::move(test.bytes));
  }
  return requests;
}

std::vector<std::string> random_inputs() {
  std::mt19937 random(20240607);  // a fixed seed, so that failures can be repeated
  std::vector<std::string> inputs;
  const std::string valid = post_chunked("5\r\nhello\r\n0\r\nX: a\r\n\r\n") + get_with("Cookie: a=b\r\n");
  for (int i = 0; i < 500; ++i) {
    std::string noise(1 + random() % 500, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    std::string changed = valid;  // noise alone is refused at the first byte
    for (unsigned n = 0; n < 1 + random() % 4; ++n) changed[random() % changed.size()] = static_cast<char>(random());
    inputs.push_back(std::move(noise));
    inputs.push_back(std::move(changed));
  }
  return inputs;
}

}  // namespace

TEST_CASE("100 000 malformed requests leave no trace", "[http][attack]") {
  const ServerProcess server({.environment = kSmallQuarantine});
  const std::vector<std::string> requests = malformed_requests();
  REQUIRE(requests.size() > 300);
  send_all(server, requests, 2'000);
  const Untouched workers(server);
  send_all(server, requests, 98'000);
  workers.check();
}

TEST_CASE("random bytes leave no trace", "[http][attack]") {
  const ServerProcess server({.environment = kSmallQuarantine});
  const std::vector<std::string> inputs = random_inputs();
  send_all(server, inputs, 1'000);
  const Untouched workers(server);
  send_all(server, inputs, 3'000);
  workers.check();
}

TEST_CASE("clients that connect and send nothing do not keep others out", "[http][attack]") {
  const ServerProcess server({.workers = 1,
                              .arguments = {"--max-connections", "100", "--header-timeout", "500ms"},
                              .environment = kSmallQuarantine});
  const auto flood = [&server] {
    return open_connections(server, 300,
                            [](std::size_t i) { return i % 2 == 0 ? "" : "GET /hello HTTP/1.1\r\nHost:"; });
  };
  static_cast<void>(flood());
  CHECK(eventually(10s, [&] { return server.status().at("totals").at("connections") == 1; }));
  const Untouched workers(server);
  {
    auto connections = flood();
    CHECK(get(server.address(), "/hello").status == 200);  // once the connections before it in the queue have timed out
    for (HttpConnection& connection : connections) static_cast<void>(connection.read_rest(20s));
  }
  workers.check();
}

TEST_CASE("clients that trickle their heads are answered 408, and the others at once", "[http][attack]") {
  const ServerProcess server({.workers = 1, .arguments = {"--header-timeout", "1s"}, .environment = kSmallQuarantine});
  const auto attack = [&server] {
    auto connections = open_connections(server, 100, [](std::size_t) { return "GET /hello HTTP/1.1\r\nX: "; });
    trickle_until_408(server, connections);
  };
  attack();
  const Untouched workers(server);
  attack();
  workers.check();
}

TEST_CASE("clients that trickle their bodies are answered 408, and the others at once", "[http][attack]") {
  const ServerProcess server({.workers = 1, .arguments = {"--body-timeout", "1s"}, .environment = kSmallQuarantine});
  const auto attack = [&server] {
    auto connections = open_connections(server, 100, [](std::size_t i) {
      if (i % 3 == 0) return post_with("Content-Length: 100000\r\n", "");
      if (i % 3 == 1) return post_with("Transfer-Encoding: chunked\r\n", "fff0\r\n");
      return post_with("Transfer-Encoding: chunked\r\n", "1;");  // an extension
    });
    trickle_until_408(server, connections);
  };
  attack();
  const Untouched workers(server);
  attack();
  workers.check();
}

TEST_CASE("clients that never read are disconnected, and cost no more than their queue", "[http][attack]") {
  const ServerProcess server(
      {.workers = 1, .arguments = {"--write-timeout", "1s", "--overload", "off"}, .environment = kSmallQuarantine});
  std::string requests;
  for (int i = 0; i < 3000; ++i) requests += get_with("");
  const auto attack = [&] {
    auto connections = open_connections(
        server, 8, [](std::size_t i) { return i % 2 == 0 ? get_target("/stream?n=10000000&ms=0") : std::string(); });
    // Pipelines requests. The server stops reading when too many responses are unread, so sending must not block
    // either.
    for (std::size_t i = 1; i < connections.size(); i += 2) {
      while (::send(connections[i].fd(), requests.data(), requests.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
      }
    }
    CHECK(get(server.address(), "/hello").status == 200);
    CHECK(eventually(20s, [&] { return server.status().at("totals").at("connections") == 1; }));
  };
  attack();
  const Untouched workers(server);
  attack();
  workers.check();
}

// It logged eight lines a second.
TEST_CASE("a worker without descriptors pauses accepting, logs that once, and resumes when some are free",
          "[http][attack]") {
  const ServerProcess server(
      {.command = {"prlimit", "--nofile=90:90", program_path(), "serve", app_path("demo")}, .workers = 1});
  const auto pid = server.worker_pids().front();
  {
    std::vector<HttpConnection> connections;
    for (int i = 0; i < 100; ++i) connections.emplace_back(server.address());
    CHECK(eventually(10s, [&] { return server.log_has("accepting is paused"); }));
    // Accepted connections are served.
    const auto pauses = [&] { return connections.front().get("/status").json().at("totals").at("accept_pauses"); };
    CHECK(eventually(10s, [&] { return pauses() >= 8; }));
    CHECK(server.log_lines("accepting is paused").size() == 1);
    CHECK_FALSE(server.log_has("accepting again after"));
  }
  CHECK(eventually(10s, [&] { return get(server.address(), "/hello").status == 200; }));
  const auto totals = server.status().at("totals");
  CHECK(totals.at("accept_pauses") > 0);
  CHECK(eventually(10s, [&] { return server.log_lines("accepting again after").size() == 1; }));
  CHECK(server.worker_pids().front() == pid);
}
