// One worker of a machine receives topics for all: what clients notice when it leaves, dies or stands still.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "support/catch.h"
#include "support/clients/socket_crowd.h"
#include "support/eventually.h"
#include "support/processes/redis_cluster.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

constexpr std::size_t kClients = 40;

// Clients of a room of the demo, whose topic has a history, and what each has seen of it.
class Room {
 public:
  explicit Room(const ServerProcess& server, std::size_t clients = kClients)
      : last_(clients),
        crowd_(server.address(), [this](std::size_t client, std::string_view text) { saw(client, text); }) {
    crowd_.join("/rooms/relayed", clients);
  }

  // About a hundred messages a second.
  void talk(int messages) {
    for (int i = 0; i < messages; ++i) {
      crowd_.send(sent_ % last_.size(), "message " + std::to_string(sent_));
      ++sent_;
      crowd_.run_for(std::chrono::milliseconds(10));
    }
  }
  // A message whose worker is killed may be in the room twice, with an offset of its own each.
  bool wait_all() {
    return crowd_.run_until([this] {
      return last_[0] >= sent_ && std::ranges::all_of(last_, [this](std::uint64_t last) { return last >= last_[0]; });
    });
  }
  // Waits until all have seen the event with this offset.
  bool wait_for(std::uint64_t offset) {
    return crowd_.run_until(
        [this, offset] { return std::ranges::all_of(last_, [offset](std::uint64_t last) { return last >= offset; }); });
  }
  [[nodiscard]] std::uint64_t offset() const { return last_.front(); }
  void check() const {
    for (const auto& [reason, count] : crowd_.reasons()) UNSCOPED_INFO(count << " x " << reason);
    CHECK(crowd_.lost() == 0);
    CHECK(gaps == 0);
    CHECK(duplicates == 0);
  }

  int gaps = 0;
  int duplicates = 0;

 private:
  void saw(std::size_t client, std::string_view text) {
    const nlohmann::json message = nlohmann::json::parse(text);
    if (!message.contains("offset")) {
      ++gaps;
      return;
    }
    const auto offset = message.at("offset").get<std::uint64_t>();
    if (last_[client] != 0 && offset <= last_[client]) ++duplicates;
    if (last_[client] != 0 && offset > last_[client] + 1) ++gaps;
    last_[client] = offset;
  }

  std::vector<std::uint64_t> last_;
  std::uint64_t sent_ = 0;
  SocketCrowd crowd_;
};

pid_t relay_of(const ServerProcess& server) {
  const nlohmann::json relay = server.status().at("relay");
  return relay.is_null() ? 0 : relay.at("pid").get<pid_t>();
}

// How many connections of Redis are subscribed to channels that end with `topic`.
std::string subscribers(const RedisProcess& redis, const std::string& topic) {
  const std::string channels = redis.command({"PUBSUB", "CHANNELS", "*:e:" + topic});
  if (channels.empty()) return "0";
  const std::string answer = redis.command({"PUBSUB", "NUMSUB", channels});
  return answer.substr(answer.rfind('\n') + 1);
}

}  // namespace

TEST_CASE("four workers whose sockets share a topic have one subscription in Redis", "[redis][relay]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 4, .redis = redis.url()});
  Room room(server);
  room.talk(20);
  CHECK(room.wait_all());
  CHECK(subscribers(redis, "room:relayed") == "1");
  std::set<pid_t> with_sockets;
  for (int slot = 0; slot < 4; ++slot) {
    const nlohmann::json worker = server.worker(slot);
    if (worker.at("websockets").at("open") > 0) with_sockets.insert(worker.at("pid").get<pid_t>());
  }
  CHECK(with_sockets.size() >= 2);
  const std::vector<pid_t> pids = server.worker_pids();
  CHECK(std::ranges::find(pids, relay_of(server)) != pids.end());
  CHECK(server.status().at("totals").at("events").at("relayed") > 0);
  room.check();
}

TEST_CASE("the kill of the relay under load is no gap and no duplicate", "[redis][relay]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 4, .redis = redis.url()});
  Room room(server);
  room.talk(50);
  for (int round = 0; round < 3; ++round) {
    const pid_t relay = relay_of(server);
    REQUIRE(relay > 0);
    ::kill(relay, SIGKILL);
    room.talk(100);
    CHECK(room.wait_all());
    CHECK(relay_of(server) != relay);
    REQUIRE(server.wait_ready(4, 30s));
  }
  // More, if a busy machine makes a relay stand still for a second.
  CHECK(server.log_lines("now receives the events of topics for all workers").size() >= 3);
  CHECK(subscribers(redis, "room:relayed") == "1");
  room.check();
}

TEST_CASE("the kill of the relay is no gap in a room in which nobody has said anything yet", "[redis][relay]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  Room room(server, 8);
  const pid_t relay = relay_of(server);
  REQUIRE(relay > 0);
  ::kill(relay, SIGKILL);
  CHECK(eventually(20s, [&] { return relay_of(server) != relay; }));
  CHECK(eventually(20s, [&] { return subscribers(redis, "room:relayed") == "1"; }));
  REQUIRE(server.wait_ready(2, 30s));
  room.talk(20);
  CHECK(room.wait_all());
  room.check();
}

TEST_CASE("a stopped relay is replaced, and clients of the other workers go on without a gap", "[redis][relay]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 4, .redis = redis.url(), .arguments = {"--worker-timeout", "60s"}});
  Room room(server);
  room.talk(50);
  const pid_t relay = relay_of(server);
  REQUIRE(relay > 0);
  ::kill(relay, SIGSTOP);
  room.talk(100);
  CHECK(eventually(20s, [&] { return relay_of(server) != relay; }));
  ::kill(relay, SIGCONT);
  room.talk(50);
  CHECK(room.wait_all());
  CHECK(eventually(20s, [&] { return subscribers(redis, "room:relayed") == "1"; }));
  room.check();
}

// Without a history, what is missed can be read nowhere. Sockets of the worker that leaves move; the others must not
// notice.
TEST_CASE("when the relay leaves in order, sockets of other workers lose no event", "[redis][relay]") {
  const RedisProcess redis;
  const ServerProcess server({.app = app_path("apps/sockets"), .workers = 3, .redis = redis.url()});
  constexpr std::size_t kSockets = 30;
  std::vector<std::vector<std::string>> got(kSockets);
  SocketCrowd crowd(server.address(),
                    [&](std::size_t client, std::string_view text) { got[client].emplace_back(text); });
  crowd.join("/plain", kSockets);
  const std::string channel = redis.command({"PUBSUB", "CHANNELS", "*:e:plain"});
  int sent = 0;
  const auto talk = [&](int messages) {
    for (int i = 0; i < messages; ++i, ++sent) {
      redis.command({"PUBLISH", channel, "p#" + std::to_string(sent)});
      crowd.run_for(std::chrono::milliseconds(2));
    }
  };
  for (int round = 0; round < 2; ++round) {
    const pid_t relay = relay_of(server);
    REQUIRE(relay > 0);
    for (auto& texts : got) texts.clear();
    for (std::size_t i = 0; i < kSockets; ++i) crowd.send(i, "pid");
    REQUIRE(
        crowd.run_until([&] { return std::ranges::none_of(got, [](const auto& texts) { return texts.empty(); }); }));
    const int first = sent;
    talk(50);
    ::kill(relay, SIGTERM);
    for (int i = 0; relay_of(server) == relay; ++i) {
      REQUIRE(i < 1000);
      talk(20);
    }
    talk(100);
    const std::string last = "#" + std::to_string(sent - 1);
    std::size_t stayed = 0;
    for (const auto& texts : got) {
      if (texts.front() == std::to_string(relay)) continue;
      ++stayed;
      REQUIRE(crowd.run_until([&] { return texts.back() == last; }));
      std::vector<std::string> expected{texts.front()};
      for (int i = first; i < sent; ++i) expected.push_back("#" + std::to_string(i));
      CHECK(texts == expected);
    }
    CHECK(stayed > 0);
    CHECK(stayed < kSockets);
    CHECK(crowd.lost() == 0);
    REQUIRE(server.wait_ready(3, 30s));
  }
  CHECK(server.log_lines("now receives the events of topics").empty());  // that is for deaths
}

TEST_CASE("sockets keep their topics through reloads and scaling that change the relay", "[redis][relay]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  Room room(server);
  room.talk(20);
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"reload", "--wait"}, {"scale", "4"}, {"scale", "1"}, {"reload"}}) {
    const pid_t before = relay_of(server);
    CHECK(server.control_command(command, 40s).status == 0);
    room.talk(100);
    CHECK(room.wait_all());
    if (command.front() == "reload") CHECK(eventually(20s, [&] { return relay_of(server) != before; }));
  }
  CHECK(eventually(20s, [&] { return subscribers(redis, "room:relayed") == "1"; }));
  room.check();
}

TEST_CASE("two servers share a room, over one Redis and over a cluster", "[redis][relay][cluster]") {
  std::unique_ptr<RedisProcess> redis;
  std::unique_ptr<RedisCluster> cluster;
  if (GENERATE(false, true)) {
    cluster = std::make_unique<RedisCluster>();
  } else {
    redis = std::make_unique<RedisProcess>();
  }
  const std::string url = cluster ? cluster->url() : redis->url();
  const ServerProcess one({.workers = 2, .redis = url});
  const ServerProcess two({.workers = 2, .redis = url});
  Room here(one, 8);
  Room there(two, 8);
  for (int round = 0; round < 2; ++round) {
    here.talk(20);
    CHECK(here.wait_all());
    there.talk(20);
    CHECK(there.wait_all());
    CHECK(there.wait_for(here.offset()));
    CHECK(here.wait_for(there.offset()));
    ::kill(relay_of(one), SIGKILL);
    REQUIRE(one.wait_ready(2, 30s));
  }
  here.check();
  there.check();
  // One per machine. The guardian of a killed relay may still hold its connection.
  if (redis) CHECK(eventually(10s, [&] { return subscribers(*redis, "room:relayed") == "2"; }));
}
