// Clients of WebSockets that do not read while their topics publish.
#include <sys/resource.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "integration/websocket/room_client.h"
#include "support/catch.h"
#include "support/clients/socket_crowd.h"
#include "support/paths.h"
#include "support/processes/process.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;
using nlohmann::json;

namespace {

constexpr int kSmallBuffer = 4096;

json route_of(const ServerProcess& server, const std::string& route) {
  const json status = server.status();
  for (const json& each : status.at("routes")) {
    if (each.at("route") == "GET " + route) return each.value("websockets", json());
  }
  return {};
}

std::uint64_t too_slow(const ServerProcess& server) {
  return server.status().at("totals").at("websockets").at("too_slow").get<std::uint64_t>();
}

// Of another server with the same Redis: the workers of the one that is tested are busy.
void flood(const ServerProcess& publisher, std::size_t size, int times) {
  const std::string target = "/flood?times=" + std::to_string(times);
  HttpConnection connection(publisher.address(), 60s);
  REQUIRE(connection.request("POST", target, {}, std::string(size, 'x')).status == 204);
}

// Whether this process and those that it starts may have enough descriptors.
bool may_have(rlim_t descriptors) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur >= descriptors;
}

}  // namespace

TEST_CASE("ten thousand clients that never read take a bounded amount of memory, and are seen", "[websocket][load]") {
  const std::size_t clients = is_sanitized() ? 1000 : 10'000;
  if (!may_have(2 * clients)) {
    WARN("skipped: too few descriptors (ulimit -n)");
    return;
  }
  const RedisProcess redis;
  const ServerProcess server({.app = app_path("apps/sockets"),
                              .workers = 1,
                              .redis = redis.url(),
                              .arguments = {"--overload", "off"},
                              .environment = kSmallQuarantine});
  const ServerProcess publisher({.app = app_path("apps/sockets"), .workers = 1, .redis = redis.url()});
  const pid_t worker = server.worker_pids().at(0);
  WebSocketClient reader(server.address(), "/flood");
  SocketCrowd crowd(server.address(), {}, kSmallBuffer);
  crowd.join("/flood", clients);
  const std::uint64_t before = peak_memory(worker);
  constexpr std::size_t kEvent = 16 * 1024;
  std::uint64_t most_queued = 0;
  int events = 0;
  while (too_slow(server) < clients && events < 1000) {
    flood(publisher, kEvent, 4);
    for (int i = 0; i < 4; ++i, ++events) REQUIRE(reader.receive_text(60s).size() == kEvent);
    most_queued = std::max(most_queued, route_of(server, "/flood").at("queued_bytes").get<std::uint64_t>());
  }
  CHECK(too_slow(server) == clients);
  CHECK(most_queued > 16 * kMiB);
  CHECK(eventually(20s, [&] { return route_of(server, "/flood").at("open") == 1; }));
  CHECK(route_of(server, "/flood").at("queued_bytes") == 0);
  // 64 KiB for each, once more than 128 MiB wait, and the events of a turn.
  const std::uint64_t most = 128 * kMiB + clients * 128 * 1024;
  CHECK(peak_memory(worker) - before < (is_sanitized() ? 2 * most : most));
  CHECK(server.worker_pids().at(0) == worker);
}

TEST_CASE("a route that skips keeps its slow clients, and counts what they did not get", "[websocket]") {
  const RedisProcess redis;
  const ServerProcess server({.app = app_path("apps/sockets"), .workers = 1, .redis = redis.url()});
  const ServerProcess publisher({.app = app_path("apps/sockets"), .workers = 1, .redis = redis.url()});
  SocketCrowd crowd(server.address(), {}, kSmallBuffer);
  crowd.join("/flood/skip", 10);
  WebSocketClient reader(server.address(), "/flood/skip");
  constexpr std::size_t kEvent = 16 * 1024;
  int events = 0;
  for (; events < 4000; ++events) {
    flood(publisher, kEvent, 1);
    REQUIRE(reader.receive_text().size() == kEvent);
    if (route_of(server, "/flood/skip").at("skipped").get<int>() >= 100) break;
  }
  const json route = route_of(server, "/flood/skip");
  CHECK(route.at("skipped") >= 100);
  CHECK(route.at("open") == 11);
  CHECK(route.at("queued_bytes").get<std::uint64_t>() < 10 * (64 * 1024 + 2 * kEvent));
  CHECK(too_slow(server) == 0);
  // They get what comes later, once they read.
  CHECK(crowd.run_until([&] { return crowd.texts() >= 10; }));
  CHECK(eventually(20s, [&] {
    crowd.run_for(std::chrono::milliseconds(20));
    return route_of(server, "/flood/skip").at("queued_bytes") == 0;
  }));
  const std::uint64_t seen = crowd.texts();
  flood(publisher, kEvent, 1);
  CHECK(crowd.run_until([&] { return crowd.texts() == seen + 10; }));
  CHECK(crowd.lost() == 0);
}
