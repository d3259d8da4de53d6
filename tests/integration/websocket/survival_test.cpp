// WebSockets whose workers are killed, replaced or scaled away.
#include <signal.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "integration/websocket/room_client.h"
#include "support/catch.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"
#include "support/system/plain_signals.h"

using namespace pronghorn::test;

namespace {

void kill_all_workers(const ServerProcess& server) {
  for (const pid_t pid : server.worker_pids()) REQUIRE(::kill(pid, SIGKILL) == 0);
}

// A server of the demo with clients in one room.
struct Lobby {
  explicit Lobby(int workers, int clients) : server({.workers = workers, .redis = redis.url()}) {
    for (int i = 0; i < clients; ++i) sockets.emplace_back(server.address(), "lobby");
    REQUIRE(eventually(20s, [&] { return present() == clients; }));
  }
  // Everybody says something, and everybody hears all of it.
  void talk() {
    ++rounds;
    for (std::size_t i = 0; i < sockets.size(); ++i) {
      sockets[i].say(std::to_string(rounds) + " from " + std::to_string(i));
    }
    for (RoomClient& socket : sockets) {
      for (std::size_t i = 0; i < sockets.size(); ++i) {
        REQUIRE(socket.wait_for(std::to_string(rounds) + " from " + std::to_string(i)));
      }
    }
  }
  // Nobody was disconnected, missed an event, or got one twice.
  void check_whole() {
    for (RoomClient& socket : sockets) {
      CHECK_FALSE(socket.closed);
      CHECK(socket.gaps == 0);
      std::uint64_t before = 0;
      for (const nlohmann::json& message : socket.said) {
        CHECK(message.at("offset").get<std::uint64_t>() == before + 1);
        before = message.at("offset").get<std::uint64_t>();
      }
    }
    CHECK(present() == static_cast<std::int64_t>(sockets.size()));
  }
  std::int64_t present() const {
    return get(server.address(), "/rooms/lobby/presence").json().at("sockets").get<std::int64_t>();
  }

  RedisProcess redis;
  ServerProcess server;
  std::vector<RoomClient> sockets;
  int rounds = 0;
};

pid_t worker_of(WebSocketClient& client) {
  client.send_text("pid");
  return static_cast<pid_t>(std::stol(client.receive_text()));
}

}  // namespace

TEST_CASE("sockets go on when the worker that has them is killed", "[websocket][survival]") {
  Lobby lobby(2, 12);
  lobby.talk();
  for (int round = 0; round < 3; ++round) {
    for (const pid_t pid : lobby.server.worker_pids()) {
      REQUIRE(::kill(pid, SIGKILL) == 0);
      lobby.talk();
      REQUIRE(eventually(20s, [&] { return lobby.server.worker_pids().size() == 2 && lobby.server.wait_ready(2); }));
    }
  }
  lobby.check_whole();
}

TEST_CASE("sockets go on when all workers are killed at once", "[websocket][survival]") {
  Lobby lobby(2, 8);
  lobby.talk();
  kill_all_workers(lobby.server);
  lobby.talk();
  lobby.check_whole();
}

TEST_CASE("sockets of the only worker wait for its replacement", "[websocket][survival]") {
  Lobby lobby(1, 4);
  lobby.talk();
  kill_all_workers(lobby.server);
  lobby.talk();
  lobby.check_whole();
}

TEST_CASE("a reload moves all sockets and closes none", "[websocket][survival][reload]") {
  Lobby lobby(2, 12);
  lobby.talk();
  for (int round = 0; round < 2; ++round) {
    REQUIRE(lobby.server.control_command({"reload", "--wait"}).status == 0);
    lobby.talk();
  }
  lobby.check_whole();
}

TEST_CASE("a worker that is scaled away closes no socket", "[websocket][survival][scale]") {
  Lobby lobby(3, 12);
  lobby.talk();
  REQUIRE(lobby.server.control_command({"scale", "1"}).status == 0);
  REQUIRE(lobby.server.wait_ready(1));
  lobby.talk();
  REQUIRE(lobby.server.control_command({"scale", "3"}).status == 0);
  REQUIRE(lobby.server.wait_ready(3));
  lobby.talk();
  lobby.check_whole();
}

TEST_CASE("sockets are closed with 1001 when the server stops", "[websocket]") {
  const RedisProcess redis;
  ServerProcess server({.workers = 1, .redis = redis.url()});
  RoomClient client(server.address(), "lobby");
  client.say("hello");
  REQUIRE(client.wait_for("hello"));
  server.signal(SIGTERM);
  REQUIRE(client.wait_closed());
  CHECK(client.close_code == 1001);
  client.close();
  CHECK(server.wait_exit(20s) == ExitStatus{.code = 0});
}

TEST_CASE("a message whose worker is killed is handled again, under the same number", "[websocket][survival]") {
  const RedisProcess redis;
  const ServerProcess server({.app = app_path("apps/sockets"), .workers = 2, .redis = redis.url()});
  WebSocketClient client(server.address(), "/orders");
  const pid_t worker = worker_of(client);
  client.send_text("wait");
  const std::string begun = client.receive_text();
  REQUIRE(begun.starts_with("begun "));
  client.send_text("pid");  // waits behind it
  REQUIRE(::kill(worker, SIGKILL) == 0);
  CHECK(client.receive_text() == "again " + begun.substr(6));
  CHECK(client.receive_text() != std::to_string(worker));
}

TEST_CASE("what a message's handler has published is not published again", "[websocket][survival]") {
  const RedisProcess redis;
  const ServerProcess server({.app = app_path("apps/sockets"), .workers = 2, .redis = redis.url()});
  WebSocketClient client(server.address(), "/orders");
  const pid_t worker = worker_of(client);
  client.send_text("publish");
  const std::string begun = client.receive_text();
  REQUIRE(begun.starts_with("begun "));
  REQUIRE(::kill(worker, SIGKILL) == 0);
  CHECK(client.receive_text() == "again " + begun.substr(6));
  WebSocketClient news(server.address(), "/news");
  CHECK(news.receive_text() == "event of " + begun.substr(6));
  CHECK(news.receive_text() == "and one more");
}

TEST_CASE("a message that crashes its worker closes its own socket with 1011, and no other", "[websocket][survival]") {
  const RedisProcess redis;
  const ServerProcess server(
      {.app = app_path("apps/sockets"), .workers = 1, .redis = redis.url(), .environment = kPlainSignals});
  WebSocketClient bystander(server.address(), "/orders");
  WebSocketClient waiting(server.address(), "/orders");
  WebSocketClient guilty(server.address(), "/orders");
  bystander.send_text("id");
  const std::string id = bystander.receive_text();
  waiting.send_text("wait");
  REQUIRE(waiting.receive_text().starts_with("begun "));
  guilty.send_text("crash");
  CHECK(close_code(guilty) == 1011);
  CHECK(waiting.receive_text().starts_with("again "));
  bystander.send_text("id");
  CHECK(bystander.receive_text() == id);
  // The close handler of the socket runs in the next worker, once; the others are not gone.
  CHECK(eventually(20s, [&] { return redis.command({"GET", "closed:1011"}) == "1"; }));
  CHECK(redis.command({"GET", "closed:1006"}) == "(nil)");
}

TEST_CASE("a handler that throws, or takes too long, closes its socket with 1011", "[websocket]") {
  const RedisProcess redis;
  const ServerProcess server({.app = app_path("apps/sockets"), .workers = 1, .redis = redis.url()});
  WebSocketClient client(server.address(), "/orders");
  client.send_text("throw");
  CHECK(close_code(client) == 1011);
  CHECK(server.log_has("as told"));
  WebSocketClient slow(server.address(), "/impatient");
  slow.send_text("wait");
  REQUIRE(slow.receive_text().starts_with("begun "));
  CHECK(close_code(slow) == 1011);
}

TEST_CASE("what a socket has attached moves with it", "[websocket][survival]") {
  const RedisProcess redis;
  const ServerProcess server({.app = app_path("apps/sockets"), .workers = 2, .redis = redis.url()});
  WebSocketClient client(server.address(), "/orders");
  const std::string kept(4000, 'k');
  client.send_text("attach " + kept);
  const pid_t worker = worker_of(client);
  REQUIRE(::kill(worker, SIGKILL) == 0);
  CHECK(worker_of(client) != worker);
  client.send_text("attachment");
  CHECK(client.receive_text() == kept);
}

TEST_CASE("close handlers run once, when the client is really gone and not when its socket moves",
          "[websocket][survival]") {
  const RedisProcess redis;
  const ServerProcess server({.app = app_path("apps/sockets"), .workers = 2, .redis = redis.url()});
  const auto closed = [&redis](int code) {
    const std::string count = redis.command({"GET", "closed:" + std::to_string(code)});
    return count == "(nil)" ? 0 : std::stoi(count);
  };
  constexpr int kClients = 9;
  std::vector<std::unique_ptr<WebSocketClient>> clients;
  for (int i = 0; i < kClients; ++i) clients.push_back(std::make_unique<WebSocketClient>(server.address(), "/orders"));
  const auto open = [&] { return server.status().at("totals").at("websockets").at("open").get<int>(); };
  kill_all_workers(server);
  REQUIRE(server.wait_ready(2));
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  REQUIRE(server.control_command({"scale", "1"}).status == 0);
  REQUIRE(server.wait_ready(1));
  for (const auto& client : clients) CHECK(worker_of(*client) == server.worker_pids().at(0));
  CHECK(open() == kClients);
  CHECK(closed(1000) + closed(1005) + closed(1006) == 0);
  for (int i = 0; i < 3; ++i) CHECK(clients[static_cast<std::size_t>(i)]->close().code == 1000);
  for (int i = 3; i < 6; ++i) clients[static_cast<std::size_t>(i)]->abort();
  CHECK(eventually(20s, [&] { return closed(1000) == 3 && closed(1006) == 3; }));
  // These leave while their worker stands still, which is killed before it hears of it.
  const pid_t worker = server.worker_pids().at(0);
  REQUIRE(::kill(worker, SIGSTOP) == 0);
  clients[6]->send_close(1000);
  clients[7]->abort();
  clients[8]->connection().finish_sending();
  REQUIRE(::kill(worker, SIGKILL) == 0);
  CHECK(eventually(20s, [&] { return closed(1000) == 4 && closed(1006) == 5; }));
  REQUIRE(server.wait_ready(1));
  CHECK(open() == 0);
  CHECK(closed(1000) == 4);
  CHECK(closed(1006) == 5);
}

TEST_CASE("nobody is told that sockets leave a room and come back while they move", "[websocket][survival][presence]") {
  Lobby lobby(2, 6);
  const ServerProcess other(
      {.app = app_path("apps/sockets"), .workers = 1, .redis = lobby.redis.url(), .arguments = {"--name", "demo"}});
  WebSocketClient watcher(other.address(), "/presence/lobby");
  kill_all_workers(lobby.server);
  REQUIRE(lobby.server.wait_ready(2));
  lobby.talk();
  REQUIRE(lobby.server.control_command({"reload", "--wait"}).status == 0);
  lobby.talk();
  lobby.check_whole();
  // So the first that is told is somebody else.
  RoomClient late(lobby.server.address(), "lobby");
  const std::string joined = watcher.receive_text();
  CHECK(joined.starts_with(R"({"join":")"));
  late.close();
  CHECK(watcher.receive_text() == "{\"leave" + joined.substr(std::string_view("{\"join").size()));
}

TEST_CASE("a socket is reached by its id from every worker and machine", "[websocket]") {
  const RedisProcess redis;
  const ServerProcess one({.app = app_path("apps/sockets"), .workers = 2, .redis = redis.url()});
  const ServerProcess two({.app = app_path("apps/sockets"), .workers = 1, .redis = redis.url()});
  WebSocketClient client(one.address(), "/orders");
  client.send_text("id");
  const std::string id = client.receive_text();
  REQUIRE(id.size() == 24);
  for (int i = 0; i < 8; ++i) {
    CHECK(post(one.address(), "/send/" + id, "hello " + std::to_string(i)).status == 204);
    CHECK(client.receive_text() == "hello " + std::to_string(i));
  }
  CHECK(post(two.address(), "/send/" + id, "from the other server").status == 204);
  CHECK(client.receive_text() == "from the other server");
  CHECK(post(two.address(), "/send/000000000000000000000000", "nobody").status == 204);
  HttpConnection connection(two.address());
  CHECK(connection.request("DELETE", "/send/" + id).status == 204);
  CHECK(close_code(client) == 4002);
}
