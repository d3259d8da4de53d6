// Topics: what is published on one worker reaches clients of all of them, whatever dies meanwhile.
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

struct SentEvent {
  std::string type;
  std::string data;
  std::string id;
};

// An EventSource that reads when it is asked to. HTTP/1.0, so that its stream has no chunks.
class Source {
 public:
  Source(const Address& address, const std::string& target, const std::string& last_id = "") : connection_(address) {
    std::string request = "GET " + target + " HTTP/1.0\r\nHost: localhost\r\n";
    if (!last_id.empty()) request += "Last-Event-ID: " + last_id + "\r\n";
    id = last_id;
    REQUIRE(connection_.send_raw(request + "\r\n"));
  }

  // Reads what is there.
  void read() {
    while (!closed) {
      pollfd ready{connection_.fd(), POLLIN, 0};
      if (::poll(&ready, 1, 0) <= 0) break;
      char bytes[64 * 1024];
      const ssize_t count = ::recv(connection_.fd(), bytes, sizeof bytes, MSG_DONTWAIT);
      if (count <= 0) {
        closed = true;
      } else {
        text_.append(bytes, static_cast<std::size_t>(count));
      }
    }
    if (!has_head_) {
      const std::size_t end = text_.find("\r\n\r\n");
      if (end == std::string::npos) return;
      head = text_.substr(0, end);
      text_.erase(0, end + 4);
      has_head_ = true;
    }
    for (std::size_t end = text_.find("\n\n"); end != std::string::npos; end = text_.find("\n\n")) {
      take(text_.substr(0, end + 1));
      text_.erase(0, end + 2);
    }
  }
  // Waits until `condition` is true of what was read.
  template <class Condition>
  bool wait(Condition condition, std::chrono::milliseconds deadline = 20s) {
    return eventually(deadline, [&] {
      read();
      return condition();
    });
  }
  bool wait_for(const std::string& data) {
    return wait([&] { return has(data); });
  }
  bool wait_for_head() {
    return wait([&] { return has_head_; });
  }
  // The response has an id already, before any event: it is subscribed.
  bool wait_for_id() {
    return wait([&] { return !id.empty(); });
  }
  [[nodiscard]] bool has(const std::string& data) const {
    return std::ranges::any_of(events, [&data](const SentEvent& event) { return event.data == data; });
  }
  [[nodiscard]] std::vector<std::string> datas() const {
    std::vector<std::string> all;
    for (const SentEvent& event : events) {
      if (event.type.empty()) all.push_back(event.data);
    }
    return all;
  }
  [[nodiscard]] int gaps() const {
    return static_cast<int>(std::ranges::count_if(events, [](const SentEvent& event) { return event.type == "gap"; }));
  }
  [[nodiscard]] int fd() const noexcept { return connection_.fd(); }

  std::string head;
  std::string id;  // the last
  std::vector<SentEvent> events;
  bool closed = false;

 private:
  void take(const std::string& block) {
    SentEvent event;
    bool has_data = false;
    for (std::size_t begin = 0; begin < block.size();) {
      const std::size_t end = block.find('\n', begin);
      const std::string line = block.substr(begin, end - begin);
      begin = end + 1;
      const std::string value = line.substr(std::min(line.find(": ") + 2, line.size()));
      if (line.starts_with("id: ")) id = event.id = value;
      if (line.starts_with("event: ")) event.type = value;
      if (line.starts_with("data: ")) {
        event.data += (has_data ? "\n" : "") + value;
        has_data = true;
      }
    }
    if (has_data) events.push_back(event);
  }

  HttpConnection connection_;
  std::string text_;
  bool has_head_ = false;
};

using Sources = std::vector<std::unique_ptr<Source>>;

// Clients of a topic with a history, on both workers.
Sources listen_on_both(const ServerProcess& server, const std::string& target, std::size_t count = 16) {
  Sources sources;
  REQUIRE(eventually(20s, [&] {
    sources.push_back(std::make_unique<Source>(server.address(), target));
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
  CHECK(answer.json() == nlohmann::json{{"receivers", 2}});  // one subscription per worker, not per client
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
  Source source(server.address(), odd);
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
  auto source = std::make_unique<Source>(server.address(), "/live/t");
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
    source = std::make_unique<Source>(server.address(), "/live/t", id);
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
  auto source = std::make_unique<Source>(server.address(), "/live/t");
  REQUIRE(source->wait_for_id());
  REQUIRE(publish(server, "t", "before"));
  REQUIRE(source->wait_for("before"));
  CHECK(server.control_command({"reload", "--wait"}, 40s).status == 0);
  REQUIRE(source->wait([&] { return source->closed; }));
  REQUIRE(publish(server, "t", "between"));
  source = std::make_unique<Source>(server.address(), "/live/t", source->id);
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
  Source plain(server.address(), "/live/plain");
  REQUIRE(eventually(10s, [&] {
    publish(server, "plain?history=0", "first");
    plain.read();
    return plain.has("first");
  }));
  redis.restart();
  const auto told = [](Source& source) { return source.gaps() > 0 && source.has("later"); };
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
  Source source(server.address(), "/live/t");
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
  Source slow(server.address(), "/live/t");
  REQUIRE(slow.wait_for_id());
  Source fast(server.address(), "/live/t");
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
    Source again(server.address(), "/live/t", id);
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
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  begin_history(server, "t");
  Sources sources;
  for (int i = 0; i < 1000; ++i) sources.push_back(std::make_unique<Source>(server.address(), "/live/t"));
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
