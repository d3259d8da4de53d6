// What operators see of WebSockets.
#include <signal.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/catch.h"
#include "support/clients/http_client.h"
#include "support/clients/websocket_client.h"
#include "support/eventually.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

const std::string kTarget = "/echo/socket";

// The figures of the route; null if it tells of none.
json sockets_of(const json& status) {
  for (const json& route : status.at("routes")) {
    if (route.at("route") == "GET " + kTarget) return route.value("websockets", json());
  }
  return {};
}

std::string echo(WebSocketClient& client, const std::string& text) {
  CHECK(client.send_text(text));
  return client.receive_text();
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("sockets are counted by route, and stay counted when their worker is killed", "[websocket][status]") {
  ServerProcess server({.workers = 1});
  WebSocketClient ada(server.address(), kTarget);
  WebSocketClient bob(server.address(), kTarget);
  REQUIRE(ada.open());
  CHECK(echo(ada, "hello") == "hello");
  CHECK(echo(bob, "hi") == "hi");
  const json before = sockets_of(server.status());
  CHECK(before.at("open") == 2);
  CHECK(before.at("messages_received") == 2);
  CHECK(before.at("messages_sent") == 2);
  CHECK(before.at("bytes_sent") == 2 + 5 + 2 + 2);
  CHECK(before.at("queued_bytes") == 0);
  CHECK(sockets_of(server.status()).at("open") == server.status().at("totals").at("websockets").at("open"));
  const std::string metrics = get(server.address(), "/metrics").body;
  CHECK(contains(metrics, "pronghorn_route_websockets{route=\"GET /echo/socket\"} 2\n"));
  CHECK(
      contains(metrics, "pronghorn_route_websocket_messages_total{route=\"GET /echo/socket\",direction=\"sent\"} 2\n"));
  CHECK(contains(server.control_command({"status"}).out, "2 websockets  2 opened"));

  REQUIRE(::kill(server.worker_pids().at(0), SIGKILL) == 0);
  CHECK(echo(ada, "again") == "again");
  CHECK(echo(bob, "again") == "again");
  const json after = sockets_of(server.status());
  CHECK(after.at("open") == 2);
  CHECK(after.at("messages_received") == 4);
  CHECK(server.status().at("totals").at("websockets").at("open") == 2);
  CHECK(server.status().at("totals").at("websockets").at("opened") == 2);
  ada.close();
  bob.abort();
  CHECK(eventually(10s, [&] { return sockets_of(server.status()).at("open") == 0; }));
  CHECK(server.status().at("totals").at("websockets").at("open") == 0);
}

TEST_CASE("pronghorn requests lists the oldest sockets and those with the most queued bytes", "[websocket][command]") {
  const ServerProcess server({.workers = 1});
  CHECK_FALSE(contains(server.control_command({"requests"}).out, kTarget));
  std::vector<std::unique_ptr<WebSocketClient>> crowd;
  const auto join = [&] {
    crowd.push_back(std::make_unique<WebSocketClient>(server.address(), kTarget));
    CHECK(echo(*crowd.back(), "a") == "a");
  };
  const auto listed = [&server] {
    std::vector<json> sockets;
    for (const json& each : json::parse(server.control_command({"requests", "--json"}).out)) {
      if (each.at("state") == "socket") sockets.push_back(each);
    }
    return sockets;
  };
  for (int i = 0; i < 14; ++i) join();
  CHECK(eventually(10s, [&] {  // all are older than the next one
    const auto sockets = listed();
    const auto is_old = [](const json& socket) { return socket.at("age_ms").get<double>() >= 5; };
    return sockets.size() == 10 && std::all_of(sockets.begin(), sockets.end(), is_old);
  }));
  join();
  // It does not read its echoes.
  const std::string large(1'000'000, 'a');
  CHECK(crowd.back()->send_text(large));
  const auto most_queued = [&listed] {
    std::uint64_t most = 0;
    for (const json& each : listed()) most = std::max(most, each.at("queued_bytes").get<std::uint64_t>());
    return most;
  };
  for (int i = 0; i < 30 && most_queued() == 0; ++i) CHECK(crowd.back()->send_text(large));
  const std::vector<json> sockets = listed();
  CHECK(sockets.size() == 11);
  const json& one = sockets.at(0);
  CHECK(one.at("route") == kTarget);
  CHECK(one.at("client") == "127.0.0.1");
  CHECK(one.at("id").get<std::string>().size() == 24);
  CHECK(one.at("age_ms").get<double>() >= 0);
  CHECK(one.at("topics").empty());
  const std::string text = server.control_command({"requests"}).out;
  CHECK(text.starts_with("no requests are in flight\n"));
  CHECK(contains(text, one.at("id").get<std::string>()));
  CHECK(sockets_of(server.status()).at("queued_bytes").get<std::uint64_t>() > 0);
}
