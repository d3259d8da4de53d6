// Topics: what is published on one worker reaches clients of all of them, whatever dies meanwhile.
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.h"
#include "support/clients/event_source.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

using Sources = std::vector<std::unique_ptr<EventSource>>;

// Clients of a topic with a history, on both workers.
Sources listen_on_both(const ServerProcess& server, const std::string& target, std::size_t count = 16) {
  Sources sources;
  REQUIRE(eventually(20s, [&] {
    sources.push_back(std::make_unique<EventSource>(server.address(), target));
    if (sources.size() < count) return false;
    return server.worker(0).at("in_flight").get<int>() > 0 && server.worker(1).at("in_flight").get<int>() > 0;
  }));
  return sources;
}

void begin_history(const ServerProcess& server, const std::string& topic) {
  REQUIRE(post(server.address(), "/live/" + topic, "begin").status == 200);
}

bool publish(const ServerProcess& server, const std::string& topic, const std::string& data) {
  try {
    return post(server.address(), "/live/" + topic, data).status == 200;
  } catch (const ClientError&) {
    return false;
  }
}

}  // namespace

TEST_CASE("an event that is published on one worker reaches the clients of both", "[redis][events]") {
  RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  begin_history(server, "news");
  Sources sources = listen_on_both(server, "/live/news");
  for (auto& source : sources) REQUIRE(source->wait_for_id());
  const HttpResponse answer = post(server.address(), "/live/news", "hello\nworld");
  CHECK(answer.json() == nlohmann::json{{"receivers", 1}});  // one subscription per machine
  for (auto& source : sources) {
    CHECK(source->wait_for("hello\nworld"));
    CHECK(source->events.size() == 1);
    CHECK(source->events[0].id.size() > 17);
    CHECK(source->head.find("text/event-stream") != std::string::npos);
  }
  const auto totals = server.status().at("totals").at("events");
  CHECK(totals.at("published") == 2);
  CHECK(totals.at("delivered") == sources.size());
  CHECK(totals.at("dropped") == 0);
}

TEST_CASE("a topic that nobody listens to has no receivers, and a hostile one is 400", "[redis][events]") {
  RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  CHECK(post(server.address(), "/live/nobody", "x").json() == nlohmann::json{{"receivers", 0}});
  for (const char* topic : {"a%0d%0aX:y", "a%00", "%7f", "%1b"}) {
    CAPTURE(topic);
    CHECK(post(server.address(), std::string("/live/") + topic, "x").status == 400);
    CHECK(get(server.address(), std::string("/live/") + topic).status == 400);
  }
  CHECK(post(server.address(), "/live/" + std::string(257, 'a'), "x").status == 400);
  CHECK(post(server.address(), "/live/big", std::string(1024 * 1024 + 1, 'x')).status == 413);
  CHECK(post(server.address(), "/live/big", std::string(1024 * 1024, 'x')).status == 200);

  const std::string odd = "/live/%2a%3f%5b%7bx%7d%ff";
  begin_history(server, "%2a%3f%5b%7bx%7d%ff");
  EventSource source(server.address(), odd);
  REQUIRE(source.wait_for_id());
  const std::string payload("data: x\r\nid: 7\n\n\0\xff", 18);
  CHECK(post(server.address(), odd, payload).status == 200);
  REQUIRE(source.wait([&] { return !source.events.empty(); }));
  CHECK(source.events[0].data == std::string("data: x\nid: 7\n\n\0\xff", 17));
  CHECK(source.events[0].id == source.id);
}

TEST_CASE("a client whose worker is killed reconnects with its last id and misses nothing", "[redis][events]") {
  RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  begin_history(server, "t");
  auto source = std::make_unique<EventSource>(server.address(), "/live/t");
  REQUIRE(source->wait_for_id());
  std::vector<std::string> got;
  std::vector<std::string> sent;
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 10; ++i) {
      const std::string data = std::to_string(round) + "." + std::to_string(i);
      REQUIRE(eventually(20s, [&] { return publish(server, "t", data); }));
      sent.push_back(data);
      if (i == 3) {
        for (const pid_t pid : server.worker_pids()) ::kill(pid, SIGKILL);
      }
    }
    REQUIRE(source->wait([&] { return source->closed; }));
    const auto datas = source->datas();
    got.insert(got.end(), datas.begin(), datas.end());
    const std::string id = source->id;
    REQUIRE(server.wait_ready(2, 30s));
    source = std::make_unique<EventSource>(server.address(), "/live/t", id);
  }
  REQUIRE(source->wait_for(sent.back()));
  CHECK(source->gaps() == 0);
  const auto datas = source->datas();
  got.insert(got.end(), datas.begin(), datas.end());
  // An event may be published twice, if its worker was killed before the answer. Each is received once per publishing.
  got.erase(std::unique(got.begin(), got.end()), got.end());
  CHECK(got == sent);
}

TEST_CASE("streams of a topic survive a reload: clients reconnect and lose nothing", "[redis][events]") {
  RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  begin_history(server, "t");
  auto source = std::make_unique<EventSource>(server.address(), "/live/t");
  REQUIRE(source->wait_for_id());
  REQUIRE(publish(server, "t", "before"));
  REQUIRE(source->wait_for("before"));
  CHECK(server.control_command({"reload", "--wait"}, 40s).status == 0);
  REQUIRE(source->wait([&] { return source->closed; }));
  REQUIRE(publish(server, "t", "between"));
  source = std::make_unique<EventSource>(server.address(), "/live/t", source->id);
  REQUIRE(publish(server, "t", "after"));
  REQUIRE(source->wait_for("after"));
  CHECK(source->datas() == std::vector<std::string>{"between", "after"});
  CHECK(source->gaps() == 0);
}

TEST_CASE("clients are told of the gap when Redis has lost everything, and get later events", "[redis][events]") {
  RedisProcess redis({.password = {}, .tcp = true, .arguments = {}});
  const ServerProcess server({.workers = 2, .redis = redis.tcp_url()});
  begin_history(server, "kept");
  Sources kept = listen_on_both(server, "/live/kept", 8);
  for (auto& source : kept) REQUIRE(source->wait_for_id());
  EventSource plain(server.address(), "/live/plain");
  REQUIRE(eventually(10s, [&] {
    publish(server, "plain?history=0", "first");
    plain.read();
    return plain.has("first");
  }));
  redis.restart();
  const auto told = [](EventSource& source) { return source.gaps() > 0 && source.has("later"); };
  REQUIRE(eventually(30s, [&] {
    publish(server, "kept", "later");
    publish(server, "plain?history=0", "later");
    plain.read();
    bool all = told(plain);
    for (auto& source : kept) {
      source->read();
      all = all && told(*source);
    }
    return all;
  }));
  CHECK(plain.gaps() == 1);
  for (auto& source : kept) {
    CHECK(source->gaps() == 1);
    CHECK_FALSE(source->closed);
  }
}

TEST_CASE("a client that listens while Redis is down gets events when it is back", "[redis][events]") {
  RedisProcess redis({.password = {}, .tcp = true, .arguments = {}});
  const ServerProcess server({.workers = 1, .redis = redis.tcp_url()});
  redis.kill();
  REQUIRE(server.wait_ready_status(503));
  EventSource source(server.address(), "/live/t");
  REQUIRE(source.wait_for_head());
  CHECK(post(server.address(), "/live/t", "x").status == 503);
  redis.restart();
  REQUIRE(eventually(30s, [&] {
    publish(server, "t", "x");
    source.read();
    return source.has("x");
  }));
}

TEST_CASE("a client that does not read is dropped, and the others are not disturbed", "[redis][events]") {
  RedisProcess redis;
  const ServerProcess server({.workers = 1, .redis = redis.url()});
  begin_history(server, "t");
  EventSource slow(server.address(), "/live/t");
  REQUIRE(slow.wait_for_id());
  EventSource fast(server.address(), "/live/t");
  REQUIRE(fast.wait_for_id());
  const std::string large(128 * 1024, 'x');
  std::size_t sent = 0;
  REQUIRE(eventually(60s, [&] {
    if (!publish(server, "t", large + std::to_string(sent))) return false;
    ++sent;
    fast.read();
    return server.status().at("totals").at("events").at("dropped").get<int>() > 0;
  }));
  REQUIRE(publish(server, "t", "last"));
  REQUIRE(fast.wait_for("last"));
  CHECK(fast.datas().size() == sent + 1);
  CHECK(fast.gaps() == 0);
  // The slow one gets what was on its way, then the end, and continues with the last id that it has.
  REQUIRE(slow.wait([&] { return slow.closed; }, 60s));
  CHECK(slow.datas().size() < sent);
  std::size_t got = slow.datas().size();
  for (std::string id = slow.id; !slow.has("last");) {
    EventSource again(server.address(), "/live/t", id);
    REQUIRE(again.wait([&] { return again.closed || again.has("last"); }, 60s));
    CHECK(again.gaps() == 0);
    got += again.datas().size();
    id = again.id;
    if (again.has("last")) break;
  }
  CHECK(got == sent + 1);
}

TEST_CASE("1000 clients on two workers get each event once", "[redis][events][load]") {
  RedisProcess redis;
  // A thousand at once would be too many for workers that other programs leave little time.
  const ServerProcess server({.workers = 2, .redis = redis.url(), .arguments = {"--overload", "off"}});
  begin_history(server, "t");
  Sources sources;
  for (int i = 0; i < 1000; ++i) sources.push_back(std::make_unique<EventSource>(server.address(), "/live/t"));
  for (auto& source : sources) REQUIRE(source->wait_for_id());
  std::vector<std::string> sent;
  for (int i = 0; i < 20; ++i) {
    sent.push_back(std::to_string(i));
    REQUIRE(publish(server, "t", sent.back()));
  }
  for (auto& source : sources) {
    REQUIRE(source->wait_for(sent.back()));
    REQUIRE(source->datas() == sent);
  }
}
