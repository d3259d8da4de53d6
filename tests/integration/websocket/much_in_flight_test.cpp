// Sockets whose workers are killed and replaced while much of a message has arrived, or much waits to be sent.
#include <signal.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "integration/websocket/room_client.h"
#include "support/catch.h"
#include "support/clients/http_client.h"
#include "support/eventually.h"
#include "support/paths.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;
using namespace std::chrono_literals;

namespace {

// A text in which no part is like another.
std::string pattern(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; text.size() < size; ++i) text += std::to_string(i) + ' ';
  text.resize(size);
  return text;
}

void kill_workers(const ServerProcess& server) {
  const auto workers = server.worker_pids();
  for (const pid_t pid : workers) REQUIRE(::kill(pid, SIGKILL) == 0);
  REQUIRE(server.wait_ready(static_cast<int>(workers.size())));
}

nlohmann::json sockets_of(const ServerProcess& server, const std::string& route) {
  const nlohmann::json status = server.status();
  for (const nlohmann::json& each : status.at("routes")) {
    if (each.at("route") == "GET " + route) return each.at("websockets");
  }
  return {};
}

}  // namespace

TEST_CASE("a long message that arrives goes on, whatever becomes of its workers", "[websocket][survival]") {
  const RedisProcess redis;
  const ServerProcess server({.app = app_path("apps/sockets"), .workers = 2, .redis = redis.url()});
  WebSocketClient client(server.address(), "/echo");
  const std::string text = pattern(4 * kMiB);
  std::string frame;
  pronghorn::worker::FrameWriter(pronghorn::worker::WebSocketRole::client).text(frame, text);
  const auto bytes_read = [&] { return sockets_of(server, "/echo").at("bytes_received").get<std::size_t>(); };
  std::string_view rest = frame;
  const auto send_part = [&] {
    const std::size_t before = bytes_read();
    REQUIRE(client.send_raw(rest.substr(0, kMiB)));
    rest.remove_prefix(kMiB);
    REQUIRE(eventually(20s, [&] { return bytes_read() == before + kMiB; }));
  };
  send_part();
  kill_workers(server);
  send_part();
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  send_part();
  kill_workers(server);
  REQUIRE(client.send_raw(rest));
  CHECK((client.receive_text() == text));
  CHECK(client.close().code == 1000);
}

TEST_CASE("what waits for a slow client is sent by other workers, however much it is", "[websocket][survival]") {
  const RedisProcess redis;
  const ServerProcess server({.app = app_path("apps/sockets"), .workers = 1, .redis = redis.url()});
  WebSocketClient client(server.address(), "/flood/long");
  const std::string text = pattern(kMiB - 100);
  std::size_t events = 0;
  const auto flood_until = [&](std::size_t queued) {
    while (sockets_of(server, "/flood/long").at("queued_bytes").get<std::size_t>() < queued) {
      REQUIRE(post(server.address(), "/flood", std::to_string(++events) + text).status == 204);
      REQUIRE(eventually(20s, [&] { return sockets_of(server, "/flood/long").at("messages_sent") == events; }));
    }
  };
  flood_until(4 * kMiB);
  kill_workers(server);
  // It did not count there, so max_queue() could be exceeded; and what was published behind it, on a topic without
  // history, was lost with that worker.
  CHECK(eventually(20s,
                   [&] { return sockets_of(server, "/flood/long").at("queued_bytes").get<std::size_t>() > 3 * kMiB; }));
  flood_until(5 * kMiB);
  kill_workers(server);
  std::size_t received = 0;
  for (; received < 2; ++received) CHECK((client.receive_text() == std::to_string(received + 1) + text));
  kill_workers(server);
  for (; received < events; ++received) CHECK((client.receive_text() == std::to_string(received + 1) + text));
  CHECK(client.close().code == 1000);
}
