#include "supervisor/control/quarantine_list.h"
#include "supervisor/slots/killing_request.h"

#include <signal.h>

#include <optional>

#include "support/catch.h"

using namespace std::chrono_literals;
using namespace pronghorn;
using namespace pronghorn::supervisor;

namespace {

QuarantinedRequest request(std::uint64_t number = 1) {
  std::string id = std::to_string(number);
  id.insert(0, QuarantinedRequest::kIdSize - id.size(), '0');
  return {id, "GET", "/users/{id}", "/users/N"};
}

struct Kept {
  Scoreboard board = Scoreboard::create();
  QuarantineList quarantine{board.quarantine()};
  std::uint64_t now = 1'000'000;

  std::vector<QuarantineEntry> entries() { return quarantine_entries(board.quarantine(), now); }
  void kill_twice(const QuarantinedRequest& killer, Milliseconds time = 60s) {
    quarantine.killed(killer, time, now);
    quarantine.killed(killer, time, now);
  }
  void learn(std::uint64_t number, Milliseconds left = 60s) {
    quarantine.learned({request(number), 1'700'000'000, 2}, left, now);
  }
};

// What killing_request() says of a worker that ended so while it executed "POST /crash".
struct FaultFrom {
  std::uint32_t sender = 0;  // 0: the kernel
  std::uint32_t thread = 100;
};
std::string blamed(ChildExit how, WorkerState state = WorkerState::ready, bool active = true,
                   std::optional<FaultFrom> from = {}) {
  const auto row = std::make_unique<WorkerRow>();
  row->pid = 100;
  row->running.active = active ? 1 : 0;
  std::snprintf(row->running.line, sizeof row->running.line, "POST /crash");
  if (from) {
    row->crash.signal = static_cast<std::uint32_t>(how.signal);
    row->crash.sender = from->sender;
    row->crash.thread = from->thread;
  }
  how.pid = 100;
  Slots::Exit exit{WorkerEntry{.pid = 100, .state = state}, state != WorkerState::draining, 0ms, {}, true};
  return killing_request(exit, how, *row);
}

}  // namespace

TEST_CASE("the second kill within a minute quarantines a request", "[quarantine]") {
  Kept kept;
  kept.quarantine.killed(request(), 600s, kept.now);
  CHECK(kept.entries().empty());
  kept.now += 59'000;
  kept.quarantine.killed(request(), 600s, kept.now);
  REQUIRE(kept.entries().size() == 1);
  CHECK(kept.entries()[0].request.id == request().id);
  CHECK(kept.entries()[0].kills == 2);
  CHECK(kept.entries()[0].left_ms == 600'000);
  CHECK_FALSE(kept.entries()[0].shared);
  CHECK(kept.board.quarantine().count.load() == 1);
}

TEST_CASE("kills that are more than a minute apart, or of different requests, quarantine nothing", "[quarantine]") {
  Kept kept;
  for (int i = 0; i < 5; ++i) {
    kept.quarantine.killed(request(1), 600s, kept.now);
    kept.now += 60'001;
  }
  kept.quarantine.killed(request(1), 600s, kept.now);
  kept.quarantine.killed(request(2), 600s, kept.now);
  CHECK(kept.entries().empty());
}

TEST_CASE("with quarantine_time 0 nothing is quarantined", "[quarantine]") {
  Kept kept;
  kept.kill_twice(request(), 0ms);
  CHECK(kept.entries().empty());
}

TEST_CASE("a quarantine entry expires, and later kills are counted from zero", "[quarantine]") {
  Kept kept;
  kept.kill_twice(request(), 5s);
  kept.now += 4'999;
  kept.quarantine.tick(kept.now);
  CHECK(kept.entries().size() == 1);
  kept.now += 1;
  CHECK(kept.entries().empty());
  kept.quarantine.tick(kept.now);
  CHECK(kept.board.quarantine().count.load() == 0);
  kept.quarantine.killed(request(), 5s, kept.now);
  CHECK(kept.entries().empty());
}

TEST_CASE("one entry or all are released", "[quarantine]") {
  Kept kept;
  for (std::uint64_t number = 1; number <= 3; ++number) kept.kill_twice(request(number));
  CHECK(kept.quarantine.release(request(2).id, kept.now) == 1);
  CHECK(kept.quarantine.release(request(2).id, kept.now) == 0);
  CHECK(kept.entries().size() == 2);
  CHECK(kept.quarantine.release("all", kept.now) == 2);
  CHECK(kept.entries().empty());
}

TEST_CASE("entries of Redis are taken over, and removed when Redis no longer has them", "[quarantine]") {
  Kept kept;
  kept.learn(1, 30s);
  kept.learn(1, 30s);  // another worker says the same
  REQUIRE(kept.entries().size() == 1);
  CHECK(kept.entries()[0].shared);
  CHECK(kept.entries()[0].since_at == 1'700'000'000);
  kept.quarantine.ended(request(2).id, kept.now);
  kept.quarantine.ended("", kept.now);
  CHECK(kept.entries().size() == 1);
  kept.quarantine.ended(request(1).id, kept.now);
  CHECK(kept.entries().empty());
}

TEST_CASE("what is counted here becomes shared when Redis has it", "[quarantine]") {
  Kept kept;
  kept.kill_twice(request());
  kept.learn(1);
  REQUIRE(kept.entries().size() == 1);
  CHECK(kept.entries()[0].shared);
}

// After a kill here, one elsewhere and a release, the next kill here counted as the second.
TEST_CASE("after a release kills are counted from zero", "[quarantine]") {
  Kept kept;
  kept.quarantine.killed(request(1), 60s, kept.now);
  kept.learn(1);
  kept.quarantine.ended(request(1).id, kept.now);
  kept.quarantine.killed(request(1), 60s, kept.now);
  CHECK(kept.entries().empty());
  kept.quarantine.killed(request(1), 60s, kept.now);
  CHECK(kept.entries().size() == 1);
}

TEST_CASE("an old answer of Redis does not bring a released request back", "[quarantine]") {
  Kept kept;
  kept.learn(1);
  CHECK(kept.quarantine.release(request(1).id, kept.now) == 1);
  kept.learn(1);
  CHECK(kept.entries().empty());
  kept.kill_twice(request(1));  // but it can kill again
  CHECK(kept.entries().size() == 1);
  kept.quarantine.release("all", kept.now);
  kept.now += QuarantineList::kReleasedMs;
  kept.learn(1);
  CHECK(kept.entries().size() == 1);
}

TEST_CASE("the numbers of counted and quarantined requests are limited", "[quarantine]") {
  Kept kept;
  for (std::uint64_t number = 0; number < 2 * kMaxQuarantined; ++number) kept.kill_twice(request(number));
  CHECK(kept.entries().size() == kMaxQuarantined);
  CHECK(kept.board.quarantine().count.load() == kMaxQuarantined);
  kept.quarantine.release("all", kept.now);
  // Many requests that kill once do not permanently displace the one that kills again.
  for (std::uint64_t number = 0; number < 1'000; ++number) kept.quarantine.killed(request(number), 60s, kept.now);
  kept.kill_twice(request(5'000));
  CHECK(kept.entries().size() == 1);
}

TEST_CASE("a new image of the supervisor takes over the quarantine", "[quarantine]") {
  Kept kept;
  kept.kill_twice(request());
  QuarantineList next(kept.board.quarantine());
  CHECK(next.release(request().id, kept.now) == 1);
  CHECK(kept.entries().empty());
}

TEST_CASE("a request is blamed for its worker's own signals and for exit()", "[quarantine]") {
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS}) {
    CAPTURE(signal);
    CHECK(blamed({.signal = signal}) == "POST /crash");
  }
  CHECK(blamed({.status = 7}) == "POST /crash");
  CHECK(blamed({.status = 0}) == "POST /crash");
  CHECK(blamed({.signal = SIGABRT}, WorkerState::dying) == "POST /crash");  // the watchdog
  CHECK(blamed({.signal = SIGSEGV}, WorkerState::draining) == "POST /crash");
}

TEST_CASE("no request is blamed for a signal of another process, or a fault beside the loop", "[quarantine]") {
  const auto ready = WorkerState::ready;
  CHECK(blamed({.signal = SIGSEGV}, ready, true, FaultFrom{}) == "POST /crash");
  CHECK(blamed({.signal = SIGABRT}, ready, true, FaultFrom{.sender = 100}) == "POST /crash");  // abort()
  CHECK(blamed({.signal = SIGSEGV}, ready, true, FaultFrom{.sender = 7}).empty());
  CHECK(blamed({.signal = SIGSEGV}, ready, true, FaultFrom{.thread = 101}).empty());
  CHECK(blamed({.signal = SIGABRT}, WorkerState::dying, true, FaultFrom{.sender = 7}) == "POST /crash");
}

TEST_CASE("no request is blamed for what came from outside", "[quarantine]") {
  CHECK(blamed({.signal = SIGKILL}).empty());
  CHECK(blamed({.signal = SIGKILL}, WorkerState::dying).empty());  // a worker that was stopped
  CHECK(blamed({.signal = SIGTERM}).empty());
  CHECK(blamed({.status = 0}, WorkerState::draining).empty());
  CHECK(blamed({.signal = SIGSEGV}, WorkerState::ready, false).empty());
}

// A client that varied the path, /kill/<random letters>, made each kill the first of its shape.
TEST_CASE("the third path of one route that kills quarantines the whole route", "[quarantine]") {
  Kept kept;
  const QuarantinedRequest route{"00000000000000ff", "GET", "/kill/{word}", "*"};
  const auto kill = [&](std::uint64_t shape) {
    kept.quarantine.killed(request(shape), 60s, kept.now);
    kept.quarantine.killed_in_route(route, request(shape).id, 60s, kept.now);
  };
  kill(1);
  kill(2);
  CHECK(kept.entries().empty());
  kill(3);
  REQUIRE(kept.entries().size() == 1);
  CHECK(kept.entries()[0].request.shape == "*");
  CHECK(kept.entries()[0].kills == 3);
  CHECK(kept.quarantine.release(route.id, kept.now) == 1);
}

TEST_CASE("kills of one path say nothing about the others of its route", "[quarantine]") {
  Kept kept;
  const QuarantinedRequest route{"00000000000000ff", "GET", "/kill/{word}", "*"};
  for (int i = 0; i < 5; ++i) {
    kept.quarantine.killed(request(1), 60s, kept.now);
    kept.quarantine.killed_in_route(route, request(1).id, 60s, kept.now);
  }
  REQUIRE(kept.entries().size() == 1);
  CHECK(kept.entries()[0].request.id == request(1).id);
}

TEST_CASE("paths that kill more than a minute apart do not quarantine their route", "[quarantine]") {
  Kept kept;
  const QuarantinedRequest route{"00000000000000ff", "GET", "/kill/{word}", "*"};
  for (std::uint64_t shape = 1; shape <= 5; ++shape, kept.now += 40'000) {
    kept.quarantine.killed(request(shape), 60s, kept.now);
    kept.quarantine.killed_in_route(route, request(shape).id, 60s, kept.now);
  }
  CHECK(kept.entries().empty());
}
