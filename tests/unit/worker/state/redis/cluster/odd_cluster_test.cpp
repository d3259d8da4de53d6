// Nodes that do what a real cluster does only for a moment, or only on a broken network.
#include <time.h>

#include <atomic>
#include <string>
#include <vector>

#include "unit/worker/state/answering_server.h"
#include "unit/worker/state/state_worker.h"
#include "worker/state/redis/slots/key_slot.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

using Words = std::vector<std::string>;

std::string bulk(const std::string& text) { return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n"; }
std::string number(unsigned value) { return ":" + std::to_string(value) + "\r\n"; }
std::string node_at(unsigned port) { return "*2\r\n" + bulk("127.0.0.1") + number(port); }

// One range of the reply to CLUSTER SLOTS.
std::string range(unsigned first, unsigned last, const std::vector<unsigned>& ports) {
  std::string text = "*" + std::to_string(2 + ports.size()) + "\r\n" + number(first) + number(last);
  for (const unsigned port : ports) text += node_at(port);
  return text;
}

std::string url_of(const AnsweringServer& server) {
  return "redis+cluster://127.0.0.1:" + std::to_string(server.port());
}

// What each node says at login; empty: it is another command.
std::string greeting(const Words& words) {
  if (words[0] == "INFO") return bulk("cluster_enabled:1\r\n");
  return words[0] == "CLIENT" ? "+OK\r\n" : "";
}

std::uint64_t cpu_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

// The primary that is cut off from the other nodes only says CLUSTERDOWN, and that it serves all slots.
TEST_CASE("a primary that only its clients reach is not believed to be one still", "[redis][cluster]") {
  std::atomic<unsigned> old_port = 0, new_port = 0;
  std::atomic<bool> replaced = false;
  AnsweringServer heir(
      [&](const Words& words) {
        if (words[0] == "CLUSTER") return "*1\r\n" + range(0, 16'383, {new_port});
        const std::string login = greeting(words);
        return login.empty() ? bulk("heir") : login;
      },
      AnsweringServer::On::tcp);
  new_port = heir.port();
  AnsweringServer cut_off(
      [&](const Words& words) {
        if (words[0] == "CLUSTER") return "*1\r\n" + range(0, 16'383, {old_port, new_port});
        const std::string login = greeting(words);
        if (!login.empty()) return login;
        return replaced ? std::string("-CLUSTERDOWN The cluster is down\r\n") : bulk("old");
      },
      AnsweringServer::On::tcp);
  old_port = cut_off.port();
  StateWorker worker(config_for(url_of(cut_off)));
  worker.ready();
  CHECK(worker.command("GET", "k").string() == "old");
  replaced = true;
  CHECK(worker.wait([&] {
    try {
      return worker.command("GET", "k").string() == "heir";
    } catch (const RedisUnavailable&) {
      return false;
    }
  }));
}

// While only local copies are read, it gets no command that it could refuse: the others were never asked.
TEST_CASE("a primary that only its clients reach is not asked for ever which slots are its own", "[redis][cluster]") {
  std::atomic<unsigned> old_port = 0, new_port = 0;
  std::atomic<bool> replaced = false;
  const auto map = [&](bool with_old) {
    if (!with_old) return "*1\r\n" + range(0, 16'383, {new_port});
    return "*2\r\n" + range(0, 8'191, {old_port}) + range(8'192, 16'383, {new_port});
  };
  const auto answer = [&](const Words& words, bool knows_old) {
    if (words[0] == "CLUSTER") return map(knows_old);
    const std::string login = greeting(words);
    return login.empty() ? std::string("+OK\r\n") : login;
  };
  AnsweringServer heir([&](const Words& words) { return answer(words, !replaced); }, AnsweringServer::On::tcp);
  new_port = heir.port();
  AnsweringServer cut_off([&](const Words& words) { return answer(words, true); }, AnsweringServer::On::tcp);
  old_port = cut_off.port();
  StateWorker worker(config_for(url_of(cut_off)));
  worker.ready();
  REQUIRE(worker::key_slot("b") < 8'192);
  CHECK(worker.command("GET", "b").string() == "OK");
  replaced = true;
  const std::uint64_t before = worker.state->redis->map_version();
  CHECK(worker.wait([&] { return worker.state->redis->map_version() != before; }, 60s));
}

// It was closed all the same, and freed while commands went over it.
TEST_CASE("a node that gets slots again right after it has lost all keeps its connection", "[redis][cluster]") {
  enum Phase { shared, lost, back };  // the lower half of the slots belongs to the second node, not to it, to it again
  const std::string moved = "-MOVED " + std::to_string(worker::key_slot("b")) + " 127.0.0.1:";
  REQUIRE(worker::key_slot("b") < 8'192);
  std::atomic<Phase> phase = shared;
  std::atomic<int> asked = 0;
  std::atomic<unsigned> first_port = 0, second_port = 0;
  const auto answer = [&](const Words& words, Phase moves_b_in, unsigned other, const std::string& name) {
    if (words[0] == "CLUSTER") {
      ++asked;
      if (phase == back) return std::string("-ERR not now\r\n");
      if (phase == lost) return "*1\r\n" + range(0, 16'383, {first_port});
      return "*2\r\n" + range(0, 8'191, {second_port}) + range(8'192, 16'383, {first_port});
    }
    const std::string login = greeting(words);
    if (!login.empty()) return login;
    if (words[1] == "b" && phase == moves_b_in) return moved + std::to_string(other) + "\r\n";
    return words[0] == "GET" ? bulk(name) : std::string(":1\r\n");
  };
  AnsweringServer first([&](const Words& words) { return answer(words, back, second_port, "first"); },
                        AnsweringServer::On::tcp);
  AnsweringServer second([&](const Words& words) { return answer(words, lost, first_port, "second"); },
                         AnsweringServer::On::tcp);
  first_port = first.port();
  second_port = second.port();
  StateWorker worker(config_for(url_of(first)));
  worker.ready();
  CHECK(worker.command("GET", "b").string() == "second");
  CHECK(worker.command("GET", "a").string() == "first");
  phase = lost;
  CHECK(worker.command("GET", "b").string() == "first");
  CHECK(worker.wait([&] { return worker.row->redis_nodes[1].address.get().empty(); }));
  phase = back;
  CHECK(worker.command("GET", "b").string() == "second");
  const int before = asked;
  CHECK(worker.wait([&] { return asked > before; }));
  CHECK(worker.command("GET", "b").string() == "second");
}

// Each of them was looked for among all others.
TEST_CASE("commands that wait for the first map are given up in linear time", "[redis][cluster]") {
  AnsweringServer silent([](const Words&) { return ""; }, AnsweringServer::On::tcp);
  StateWorker worker(config_for(url_of(silent), 60s));
  worker.start();
  const auto cost_of = [&](std::size_t count) {
    std::vector<Task<Reply>> waiting;
    for (std::size_t i = 0; i < count; ++i) {
      waiting.push_back(worker.redis().command("GET", "k"));
      waiting.back().start();
      REQUIRE_FALSE(waiting.back().done());
    }
    const std::uint64_t began = cpu_ns();
    waiting.clear();
    return cpu_ns() - began;
  };
  (void)cost_of(5'000);
  const std::uint64_t few = cost_of(5'000), many = cost_of(40'000);
  CHECK(many < 24 * few);  // 8 times the commands; quadratic: 64
}
