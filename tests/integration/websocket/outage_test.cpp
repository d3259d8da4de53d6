// WebSockets while Redis is away: opening, publishing, and moving to another worker.
#include <signal.h>

#include <algorithm>
#include <string>
#include <vector>

#include "integration/websocket/room_client.h"
#include "support/catch.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

// Redis does not answer, and keeps what it has.
class Pause {
 public:
  explicit Pause(const RedisProcess& redis) : pid_(redis.pid()) { REQUIRE(::kill(pid_, SIGSTOP) == 0); }
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;
  ~Pause() { ::kill(pid_, SIGCONT); }

 private:
  pid_t pid_;
};

}  // namespace

TEST_CASE("sockets whose workers are killed while Redis is away go on, and miss nothing", "[websocket][survival]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  const ServerProcess other({.workers = 1, .redis = redis.url()});
  std::vector<RoomClient> clients;
  for (int i = 0; i < 6; ++i) clients.emplace_back(server.address(), "lobby");
  RoomClient elsewhere(other.address(), "lobby");
  elsewhere.say("before");
  for (RoomClient& client : clients) REQUIRE(client.wait_for("before"));
  {
    const Pause pause(redis);
    for (const pid_t pid : server.worker_pids()) REQUIRE(::kill(pid, SIGKILL) == 0);
    // They are served again: a ping is answered, by another worker.
    REQUIRE(eventually(20s, [&] { return server.log_lines("worker 0 is ready").size() >= 2; }));
    REQUIRE(eventually(20s, [&] { return server.log_lines("worker 1 is ready").size() >= 2; }));
    CHECK(get(server.address(), "/hello").status == 200);
  }
  // What is said to others meanwhile, or before they are in their topics again, reaches them.
  for (int i = 0; i < 20; ++i) elsewhere.say("afterwards " + std::to_string(i));
  REQUIRE(elsewhere.wait_for("afterwards 19"));
  for (RoomClient& client : clients) {
    REQUIRE(client.wait_for("afterwards 19"));
    CHECK(client.gaps == 0);
    std::uint64_t before = 0;
    for (const nlohmann::json& message : client.said) {
      CHECK(message.at("offset").get<std::uint64_t>() == before + 1);
      before = message.at("offset").get<std::uint64_t>();
    }
    CHECK(client.texts() == elsewhere.texts());
  }
}

TEST_CASE(
    "a socket that is opened while Redis is away begins where it asked, also when its worker is killed before that",
    "[websocket][survival]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 1, .redis = redis.url()});
  const ServerProcess other({.workers = 1, .redis = redis.url()});
  RoomClient elsewhere(other.address(), "lobby");
  for (int i = 1; i <= 3; ++i) elsewhere.say("old " + std::to_string(i));
  REQUIRE(elsewhere.wait_for("old 3"));
  std::vector<RoomClient> clients;
  {
    const Pause pause(redis);
    for (const std::string since : {"?since=0", "?since=2", ""}) clients.emplace_back(server.address(), "lobby", since);
    for (const pid_t pid : server.worker_pids()) REQUIRE(::kill(pid, SIGKILL) == 0);
    REQUIRE(eventually(20s, [&] { return server.log_lines("worker 0 is ready").size() >= 2; }));
  }
  REQUIRE(eventually(20s, [&] {
    elsewhere.say("new");
    for (RoomClient& client : clients) client.read();
    return std::ranges::all_of(clients, [](const RoomClient& client) { return !client.said.empty(); });
  }));
  elsewhere.say("last");
  REQUIRE(elsewhere.wait_for("last"));
  for (RoomClient& client : clients) {
    REQUIRE(client.wait_for("last"));
    CHECK(client.gaps == 0);
  }
  using Texts = std::vector<std::string>;
  CHECK(clients[0].texts() == elsewhere.texts());
  const Texts all = elsewhere.texts();
  CHECK(clients[1].texts() == Texts(all.begin() + 2, all.end()));
  CHECK(clients[2].texts().front() == "new");
}

TEST_CASE("a message that cannot be published while Redis is away is told to its sender, and the socket stays open",
          "[websocket]") {
  RedisProcess redis;
  const ServerProcess server({.workers = 1, .redis = redis.url()});
  RoomClient ada(server.address(), "lobby");
  ada.say("before");
  REQUIRE(ada.wait_for("before"));
  redis.kill();
  ada.say("nobody hears this");
  REQUIRE(ada.wait([&] { return ada.errors == 1; }));
  redis.restart();
  REQUIRE(server.wait_redis());
  REQUIRE(eventually(20s, [&] {
    ada.say("again");
    ada.read();
    return ada.said.back().at("text") == "again";
  }));
  CHECK_FALSE(ada.closed);
  CHECK(ada.gaps == 1);  // that Redis has lost its data
}
