// The demo's rooms: what one client says reaches all, on every worker and machine.
#include <signal.h>

#include <algorithm>
#include <string>
#include <vector>

#include "integration/websocket/room_client.h"
#include "support/catch.h"
#include "support/processes/redis_cluster.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

std::int64_t sockets_in(const ServerProcess& server, const std::string& room) {
  return get(server.address(), "/rooms/" + room + "/presence").json().at("sockets").get<std::int64_t>();
}

bool wait_sockets(const ServerProcess& server, const std::string& room, std::int64_t count) {
  return eventually(20s, [&] { return sockets_in(server, room) == count; });
}

}  // namespace

TEST_CASE("what one client says in a room reaches all in it, with who said it and its offset", "[websocket]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 3, .redis = redis.url()});
  std::vector<RoomClient> clients;
  for (int i = 0; i < 8; ++i) clients.emplace_back(server.address(), "lobby");  // on different workers
  RoomClient elsewhere(server.address(), "cellar");
  for (RoomClient& client : clients) {
    const std::size_t before = clients.front().said.size();
    client.say("hello");
    REQUIRE(clients.front().wait([&] { return clients.front().said.size() > before; }));
  }
  for (RoomClient& client : clients) {
    REQUIRE(client.wait([&] { return client.said.size() >= 8; }));
    std::uint64_t before = 0;
    std::vector<std::string> speakers;
    for (const nlohmann::json& message : client.said) {
      CHECK(message.at("text") == "hello");
      CHECK(message.at("offset").get<std::uint64_t>() == before + 1);
      before = message.at("offset").get<std::uint64_t>();
      speakers.push_back(message.at("from").get<std::string>());
    }
    std::ranges::sort(speakers);
    CHECK(std::ranges::adjacent_find(speakers) == speakers.end());  // each socket has an id of its own
  }
  elsewhere.say("alone");
  REQUIRE(elsewhere.wait_for("alone"));
  CHECK(elsewhere.said.size() == 1);
}

TEST_CASE("a client whose handshake was answered misses nothing that is said from then on", "[websocket]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 3, .redis = redis.url()});
  for (int room = 0; room < 50; ++room) {
    RoomClient ada(server.address(), std::to_string(room));
    RoomClient bob(server.address(), std::to_string(room));
    ada.say("hello");
    REQUIRE(bob.wait_for("hello"));
    REQUIRE(ada.wait_for("hello"));
  }
}

TEST_CASE("sockets are accepted while Redis is away, and their topics begin when it is back", "[websocket]") {
  RedisProcess redis;
  const ServerProcess server({.workers = 1, .redis = redis.url()});
  REQUIRE(server.wait_redis());
  redis.kill();
  RoomClient ada(server.address(), "lobby");
  ada.say("nobody hears this");
  REQUIRE(ada.wait([&] { return ada.errors == 1; }));
  redis.restart();
  REQUIRE(server.wait_redis());
  REQUIRE(wait_sockets(server, "lobby", 1));
  // It hears nothing before its topic has begun.
  REQUIRE(eventually(20s, [&] {
    ada.say("again");
    ada.read();
    return !ada.said.empty();
  }));
}

TEST_CASE("two servers with one Redis share their rooms", "[websocket]") {
  const RedisProcess redis;
  const ServerProcess one({.workers = 1, .redis = redis.url()});
  const ServerProcess two({.workers = 1, .redis = redis.url()});
  RoomClient ada(one.address(), "lobby");
  RoomClient bob(two.address(), "lobby");
  REQUIRE(wait_sockets(one, "lobby", 2));
  CHECK(sockets_in(two, "lobby") == 2);
  ada.say("from one");
  REQUIRE(bob.wait_for("from one"));
  bob.say("from two");
  REQUIRE(ada.wait_for("from two"));
  REQUIRE(bob.wait_for("from two"));
  CHECK(ada.texts() == std::vector<std::string>{"from one", "from two"});
  CHECK(bob.texts() == ada.texts());
}

TEST_CASE("two servers with one Redis Cluster share their rooms, also when workers are killed",
          "[websocket][cluster][survival]") {
  const RedisCluster cluster({.replicas = 0, .node_timeout = 30s, .arguments = {}});
  const ServerProcess one({.workers = 2, .redis = cluster.url()});
  const ServerProcess two({.workers = 1, .redis = cluster.url()});
  for (const std::string& room :
       {std::string("lobby"), std::string("cellar"), std::string("attic")}) {  // in other slots
    INFO(room);
    RoomClient ada(one.address(), room);
    RoomClient bob(two.address(), room);
    REQUIRE(wait_sockets(one, room, 2));
    ada.say("from one");
    REQUIRE(bob.wait_for("from one"));
    for (const ServerProcess* server : {&one, &two}) {
      for (const pid_t pid : server->worker_pids()) REQUIRE(::kill(pid, SIGKILL) == 0);
    }
    bob.say("from two");
    REQUIRE(ada.wait_for("from two"));
    REQUIRE(bob.wait_for("from two"));
    CHECK(ada.texts() == std::vector<std::string>{"from one", "from two"});
    CHECK(bob.texts() == ada.texts());
    CHECK(ada.gaps + bob.gaps == 0);
    REQUIRE(one.wait_ready(2));
    REQUIRE(two.wait_ready(1));
    CHECK(sockets_in(two, room) == 2);
  }
}

TEST_CASE("since continues after an offset, without a gap or a duplicate", "[websocket]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  RoomClient ada(server.address(), "lobby");
  for (int i = 1; i <= 100; ++i) ada.say(std::to_string(i));
  REQUIRE(ada.wait_for("100"));
  CHECK(ada.said.size() == 100);
  const auto fortieth = ada.said.at(39);
  REQUIRE(fortieth.at("offset") == 40);
  for (const std::string& since : {std::string("40"), fortieth.at("id").get<std::string>()}) {
    INFO(since);
    RoomClient back(server.address(), "lobby", "?since=" + since);
    REQUIRE(back.wait_for("100"));
    CHECK(back.said.size() == 60);
    CHECK(back.said.front().at("text") == "41");
    CHECK(back.gaps == 0);
  }
  RoomClient all(server.address(), "lobby", "?since=0");
  REQUIRE(all.wait_for("100"));
  CHECK(all.said.size() == 100);
  CHECK(all.gaps == 0);
}

TEST_CASE("a client that cannot continue is told of a gap, and gets what follows", "[websocket]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 1, .redis = redis.url()});
  RoomClient ada(server.address(), "lobby");
  ada.say("first");
  REQUIRE(ada.wait_for("first"));
  for (const char* since : {"no-id", "0123456789abcdef-1", "-1", "%ff", "99999999999999999999999"}) {
    INFO(since);
    RoomClient back(server.address(), "lobby", std::string("?since=") + since);
    REQUIRE(back.wait([&] { return back.gaps == 1; }));
    ada.say(std::string("after ") + since);
    REQUIRE(back.wait_for(std::string("after ") + since));
    CHECK(back.gaps == 1);
  }
}

TEST_CASE("presence counts the sockets in a room until they are gone", "[websocket]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  CHECK(sockets_in(server, "lobby") == 0);
  RoomClient ada(server.address(), "lobby", "?name=ada");
  {
    RoomClient bob(server.address(), "lobby", "?name=bob");
    CHECK(wait_sockets(server, "lobby", 2));
    auto names = get(server.address(), "/rooms/lobby/presence").json().at("names").get<std::vector<std::string>>();
    std::ranges::sort(names);
    CHECK(names == std::vector<std::string>{"ada", "bob"});
    CHECK(sockets_in(server, "cellar") == 0);
  }  // the connection is closed without a close frame
  CHECK(wait_sockets(server, "lobby", 1));
  ada.close();
  CHECK(wait_sockets(server, "lobby", 0));
}

TEST_CASE("rooms take text of up to 16 KiB", "[websocket]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 1, .redis = redis.url()});
  RoomClient ada(server.address(), "lobby");
  const std::string longest(16 * 1024, 'x');
  ada.say(longest);
  CHECK(ada.wait_for(longest));
  ada.say(longest + "x");
  REQUIRE(ada.wait_closed());
  CHECK(ada.close_code == 1009);

  RoomClient bob(server.address(), "lobby");
  bob.send_binary("bytes");
  REQUIRE(bob.wait_closed());
  CHECK(bob.close_code == 1003);
}

TEST_CASE("a name or room that cannot be is answered 400", "[websocket]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 1, .redis = redis.url()});
  for (const std::string& target : {"/rooms/lobby?name=" + std::string(65, 'x'), std::string("/rooms/lobby?name=%ff"),
                                    "/rooms/" + std::string(252, 'x'), std::string("/rooms/a%0ab")}) {
    INFO(target);
    CHECK(handshake_status(server.address(), target) == 400);
  }
}
