// The workers of a machine and their relay: what each of them gets, and what happens when the relay changes.
#include "worker/state/relay/relay.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/ipc/channel.h"
#include "unit/worker/state/state_worker.h"
#include "worker/state/events/topics/topic_member.h"
#include "worker/state/relay/relay_link.h"

using namespace pronghorn;
using namespace pronghorn::test;
using worker::EventPtr;
using worker::Gap;
using worker::TopicMember;

namespace {

class Member final : public TopicMember {
 public:
  std::vector<std::string> got;
  int gaps = 0;

 private:
  void event(const EventPtr& event) override { got.push_back(event->payload()); }
  void gap(Gap) override { ++gaps; }
};

// Workers that share a Redis. Each has a loop of its own; all loops turn in this thread.
class Machine {
 public:
  explicit Machine(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) add();
  }
  ~Machine() { members.clear(); }

  void add() {
    workers.push_back(
        std::make_unique<StateWorker>(config_for(redis.url()), StateServices::Machine{.has_relay = true}));
    workers.back()->ready();
    members.push_back(std::make_unique<Member>());
  }

  // As the supervisor does (supervisor/workers/topic_relay.h).
  void appoint(std::size_t relay, std::string_view before = kRelayWorks) {
    for (std::size_t i = 0; i < workers.size(); ++i) {
      if (workers[i]) link(relay, i, before);
    }
  }
  void link(std::size_t relay, std::size_t worker, std::string_view before) {
    if (worker == relay) return at(worker).state->relay_link->follow_own(before);
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0);
    at(worker).state->relay_link->follow(ends[0], relay, before);
    at(relay).state->relay->add_peer(ends[1]);
  }

  void join(std::size_t worker, const std::string& topic = "t") {
    at(worker);
    members[worker]->join(workers[worker]->state->events.topics(), topic);
  }
  void join_all() {
    for (std::size_t i = 0; i < workers.size(); ++i) join(i);
    REQUIRE(wait([&] { return std::ranges::all_of(members, [](const auto& member) { return member->is_live(); }); }));
  }

  // The worker whose functions are called next.
  StateWorker& at(std::size_t worker) {
    workers[worker]->make_current();
    return *workers[worker];
  }

  void turn() {
    for (std::size_t i = 0; i < workers.size(); ++i) {
      if (workers[i] && i != stopped) workers[i]->poll();
    }
  }
  template <class Condition>
  bool wait(Condition condition) {
    const auto end = Clock::now() + 30s;
    while (!condition()) {
      if (Clock::now() > end) return false;
      turn();
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    return true;
  }
  bool wait_for(std::size_t worker, const std::string& last) {
    const auto& got = members[worker]->got;
    return wait([&] { return !got.empty() && got.back() == last; });
  }

  void publish(const std::string& payload, const std::string& topic = "t") const {
    redis.command({"PUBLISH", "app:e:" + topic, "p" + payload});
  }
  // From worker 0, with a history.
  void publish_kept(std::size_t worker, const std::string& payload) {
    Task<Published> task = Events(at(worker).state->events).publish("t", payload, {.history = 10'000});
    task.start();
    REQUIRE(wait([&] { return task.done(); }));
  }
  [[nodiscard]] std::string subscribers(const std::string& topic = "t") const {
    return redis.command({"PUBSUB", "NUMSUB", "app:e:" + topic});
  }
  [[nodiscard]] std::uint64_t count(std::size_t worker, Count count) const {
    return (*workers[worker]->row)[count].load();
  }

  RedisProcess redis;
  std::vector<std::unique_ptr<StateWorker>> workers;
  std::vector<std::unique_ptr<Member>> members;
  std::size_t stopped = SIZE_MAX;  // this one's loop stands still
};

std::vector<std::string> numbers(int from, int to) {
  std::vector<std::string> all;
  for (int i = from; i < to; ++i) all.push_back(std::to_string(i));
  return all;
}

}  // namespace

TEST_CASE("a topic that all workers read is subscribed to once, and each gets each event once", "[redis][relay]") {
  Machine machine(4);
  machine.appoint(1);
  machine.join_all();
  CHECK(machine.subscribers() == "app:e:t\n1");
  for (const char* payload : {"a", "b", "c"}) machine.publish(payload);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(machine.wait_for(i, "c"));
    CHECK(machine.members[i]->got == std::vector<std::string>{"a", "b", "c"});
    CHECK(machine.members[i]->gaps == 0);
  }
  CHECK(machine.count(1, Count::events_relayed) == 9);
  for (std::size_t i = 0; i < 4; ++i) {
    machine.at(i);
    machine.members[i]->leave();
  }
  CHECK(machine.wait([&] { return machine.subscribers() == "app:e:t\n0"; }));
}

TEST_CASE("a worker gets only the topics that it reads", "[redis][relay]") {
  Machine machine(2);
  machine.appoint(0);
  machine.join(0, "one");
  machine.join(1, "other");
  REQUIRE(machine.wait([&] { return machine.members[0]->is_live() && machine.members[1]->is_live(); }));
  machine.publish("x", "one");
  machine.publish("y", "other");
  CHECK(machine.wait_for(1, "y"));
  CHECK(machine.wait_for(0, "x"));
  CHECK(machine.members[1]->got.size() == 1);
  CHECK(machine.count(0, Count::events_relayed) == 1);
}

TEST_CASE("topics that are read before there is a relay begin when there is one", "[redis][relay]") {
  Machine machine(2);
  machine.join(0);
  machine.join(1);
  machine.turn();
  CHECK_FALSE(machine.members[0]->is_live());
  machine.appoint(0);
  REQUIRE(machine.wait([&] { return machine.members[0]->is_live() && machine.members[1]->is_live(); }));
  machine.publish("x");
  CHECK(machine.wait_for(0, "x"));
  CHECK(machine.wait_for(1, "x"));
  CHECK(machine.members[0]->gaps + machine.members[1]->gaps == 0);
}

// Without a history nothing could be read again.
TEST_CASE("while the relay changes in order, no event is lost and none arrives twice", "[redis][relay]") {
  Machine machine(3);
  machine.appoint(0);
  machine.join_all();
  std::atomic<bool> done = false;
  int sent = 0;
  std::thread publisher([&] {
    for (; !done; ++sent) machine.publish(std::to_string(sent));
  });
  const std::vector<std::size_t> relays{1, 2, 0, 2, 1};
  bool changed = true;
  for (const std::size_t relay : relays) {
    machine.appoint(relay);
    for (std::size_t i = 0; i < 3; ++i) {  // the others have no peers any more
      changed = changed && machine.wait([&] { return machine.workers[i]->state->relay->has_peers() == (i == relay); });
    }
    const std::size_t before = machine.members[0]->got.size();
    changed = changed && machine.wait([&] { return machine.members[0]->got.size() > before + 20; });
  }
  done = true;
  publisher.join();
  REQUIRE(changed);
  CHECK(machine.subscribers() == "app:e:t\n1");
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(machine.wait_for(i, std::to_string(sent - 1)));
    CHECK(machine.members[i]->got == numbers(0, sent));
    CHECK(machine.members[i]->gaps == 0);
  }
}

TEST_CASE("topics that are joined and left while the relay changes are read once it has", "[redis][relay]") {
  Machine machine(2);
  machine.appoint(0);
  machine.join_all();
  Member late;
  machine.appoint(1);
  machine.at(1);
  machine.members[1]->leave();
  late.join(machine.workers[1]->state->events.topics(), "late");
  machine.members[1]->join(machine.workers[1]->state->events.topics(), "t");
  REQUIRE(machine.wait([&] { return late.is_live() && machine.members[1]->is_live(); }));
  REQUIRE(machine.wait([&] { return !machine.workers[0]->state->relay->has_peers(); }));
  machine.publish("x", "late");
  machine.publish("y");
  CHECK(machine.wait_for(0, "y"));
  CHECK(machine.wait_for(1, "y"));
  CHECK(machine.wait([&] { return late.got.size() == 1; }));
  CHECK(machine.members[1]->got.size() == 1);
  machine.at(1);
  late.leave();
}

TEST_CASE("a channel whose name is too long for the relay is refused with the reason", "[redis][relay]") {
  struct Listener final : worker::MessageLink::Listener {
    void link_up() override {}
    void link_confirmed(std::uint64_t command) override { confirmed.push_back(command); }
    void link_refused(std::uint64_t command, std::string_view error) override {
      refused.push_back(command);
      reason = error;
    }
    void link_message(std::string_view, std::string_view, const Reply&) override {}
    void link_tick() override {}
    void link_down() override {}
    std::vector<std::uint64_t> confirmed;
    std::vector<std::uint64_t> refused;
    std::string reason;
  };
  Machine machine(1);
  const StateServices& state = *machine.at(0).state;
  Listener listener;
  worker::RelayLink link(machine.workers[0]->loop(), *state.relay, *state.redis, "app:r:", listener);
  link.follow_own(kRelayWorks);
  const std::uint64_t longer = link.send("SUBSCRIBE", std::string(worker::kMaxRelayChannel + 1, 'c'));
  const std::uint64_t longest = link.send("SUBSCRIBE", std::string(worker::kMaxRelayChannel, 'c'));
  CHECK(machine.wait([&] { return !listener.refused.empty() && !listener.confirmed.empty(); }));
  CHECK(listener.refused == std::vector{longer});
  CHECK(listener.reason == "the name of a channel has at most 4096 bytes");
  CHECK(listener.confirmed == std::vector{longest});
}

TEST_CASE("when the relay has died, the others go on from the history without a gap", "[redis][relay]") {
  Machine machine(3);
  machine.appoint(0);
  machine.join_all();
  for (int i = 0; i < 10; ++i) machine.publish_kept(1, std::to_string(i));
  REQUIRE(machine.wait_for(2, "9"));
  machine.at(0);
  machine.members[0]->leave();
  machine.workers[0].reset();
  for (int i = 10; i < 20; ++i) machine.publish_kept(1, std::to_string(i));  // nobody receives them
  machine.appoint(2, kRelayGone);
  for (int i = 20; i < 30; ++i) machine.publish_kept(1, std::to_string(i));
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
    CHECK(machine.wait_for(i, "29"));
    CHECK(machine.members[i]->got == numbers(0, 30));
    CHECK(machine.members[i]->gaps == 0);
  }
}

TEST_CASE("a blocked relay is left after a moment, and gets its own events when it goes on", "[redis][relay]") {
  Machine machine(3);
  machine.appoint(0);
  machine.join_all();
  machine.publish_kept(1, "0");
  REQUIRE(machine.wait_for(0, "0"));
  machine.stopped = 0;
  for (int i = 1; i < 5; ++i) machine.publish_kept(1, std::to_string(i));
  machine.appoint(1, kRelayBlocked);
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
    CHECK(machine.wait_for(i, "4"));
    CHECK(machine.members[i]->got == numbers(0, 5));
    CHECK(machine.members[i]->gaps == 0);
  }
  machine.stopped = SIZE_MAX;
  machine.publish_kept(1, "5");
  CHECK(machine.wait_for(0, "5"));
  CHECK(machine.members[0]->got == numbers(0, 6));
  CHECK(machine.wait([&] { return machine.subscribers() == "app:e:t\n1"; }));
}

TEST_CASE("if the next relay ends before it was needed, the one before goes on", "[redis][relay]") {
  Machine machine(3);
  machine.appoint(0);
  machine.join_all();
  machine.stopped = 2;
  machine.appoint(2);
  machine.turn();
  machine.at(2);
  machine.members[2]->leave();
  machine.workers[2].reset();
  for (int i = 0; i < 10; ++i) machine.publish(std::to_string(i));
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    CHECK(machine.wait_for(i, "9"));
    CHECK(machine.members[i]->got == numbers(0, 10));
    CHECK(machine.members[i]->gaps == 0);
  }
}

TEST_CASE("a worker that does not read holds up nobody, and reads the history afterwards", "[redis][relay]") {
  Machine machine(3);
  machine.appoint(0);
  machine.join_all();
  machine.stopped = 2;
  const std::string large(64 * 1024, 'x');
  int sent = 0;
  while (machine.count(0, Count::events_relay_overflows) == 0) {
    REQUIRE(sent < 1000);
    machine.publish_kept(0, std::to_string(sent++) + large);
  }
  const std::string last = std::to_string(sent - 1) + large;
  CHECK(machine.wait_for(0, last));
  CHECK(machine.wait_for(1, last));
  CHECK(machine.members[1]->got.size() == static_cast<std::size_t>(sent));
  machine.stopped = SIZE_MAX;
  CHECK(machine.wait_for(2, last));
  CHECK(machine.members[2]->got == machine.members[1]->got);
  CHECK(machine.members[2]->gaps == 0);
}

TEST_CASE("when the relay has lost its connection to Redis, all workers read on from the history", "[redis][relay]") {
  Machine machine(3);
  machine.appoint(0);
  machine.join_all();
  for (int i = 0; i < 30; ++i) {
    machine.publish_kept(1, std::to_string(i));
    if (i % 10 == 5) machine.redis.command({"CLIENT", "KILL", "TYPE", "pubsub"});
  }
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(machine.wait_for(i, "29"));
    CHECK(machine.members[i]->got == numbers(0, 30));
    CHECK(machine.members[i]->gaps == 0);
  }
  CHECK(machine.subscribers() == "app:e:t\n1");
}
