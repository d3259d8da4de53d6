#include "worker/net/admission.h"

#include <optional>
#include <utility>

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using namespace std::chrono_literals;

namespace {

using Change = Admission::Change;

// A worker whose clock the test moves. Every request is dispatched in a turn that has been long.
class Worker {
 public:
  explicit Worker(bool on = true) : admission(on) {}

  void pass(std::chrono::nanoseconds time) { now += time; }
  // Two of a kind: one request that waits is no queue. Whether the second is executed.
  bool dispatch(Priority priority, std::optional<std::chrono::nanoseconds> wait) {
    static_cast<void>(dispatch_one(priority, wait));
    return dispatch_one(priority, wait);
  }
  bool dispatch_one(Priority priority, std::optional<std::chrono::nanoseconds> wait) {
    admission.dispatched(now, now);
    return admission.admits(priority, now, wait);
  }
  bool dispatch(std::chrono::nanoseconds wait) { return dispatch(Priority::normal, wait); }
  bool usual(Admission::Time at, Admission::Time polled) {
    return admission.usual(at) || admission.looks_calm(at, polled);
  }
  // A turn with this request alone.
  bool turn(Priority priority, std::chrono::nanoseconds wait) {
    pass(1ms);
    const bool admitted = dispatch(priority, wait);
    pass(1ms);
    return admitted;
  }
  // A request every 2 ms for `time`; the number that was refused.
  int busy(std::chrono::milliseconds time, std::chrono::milliseconds wait, Priority priority = Priority::normal) {
    int refused = 0;
    for (const auto end = now + time; now < end; pass(2ms)) refused += dispatch(priority, wait) ? 0 : 1;
    return refused;
  }
  // One turn, in which `requests` handlers of 2 ms run that had waited for `wait` when it began; the number that was
  // refused. Unlike in busy(), a request that is executed takes time.
  int long_turn(int requests, std::chrono::milliseconds wait) {
    const auto polled = now;
    int refused = 0;
    for (int i = 0; i < requests; ++i) {
      admission.dispatched(now, polled);
      const bool admitted = admission.admits(Priority::normal, now, now - polled + wait);
      admitted ? pass(2ms) : pass(20us);
      refused += admitted ? 0 : 1;
    }
    admission.turn_was_long(polled, now);
    return refused;
  }
  // A handler that occupies the loop for `time`, and then what 0.7 times of what the worker can do makes of it: in each
  // turn the requests that have come during the one before. The number that was refused.
  int stall(std::chrono::milliseconds time) {
    const auto began = now;
    pass(time);
    admission.turn_was_long(began, now);
    int refused = 0;
    for (auto last = time; last >= 2ms;) {
      const auto requests = static_cast<int>(0.7 * static_cast<double>(last.count()) / 2);
      refused += long_turn(requests, last);
      last = 2ms * requests;
    }
    return refused;
  }
  void overload() {
    busy(102ms, 30ms);
    REQUIRE(admission.overloaded_since());
  }
  // The target grows with the time for which one handler after the other occupies the loop.
  void occupy(std::chrono::milliseconds each, int times) {
    for (int i = 0; i < times; ++i) {
      const auto began = now;
      pass(each);
      admission.turn_was_long(began, now);
    }
  }

  Admission admission;
  Admission::Time now = Admission::Time(1h);
};

}  // namespace

TEST_CASE("a request in a short turn after a short turn is executed, and the kernel is not asked", "[overload]") {
  for (const auto into_the_turn : {0ms, 5ms}) {
    Worker worker;
    CHECK(worker.usual(worker.now, worker.now - into_the_turn));
  }
  Worker worker;
  CHECK_FALSE(worker.usual(worker.now, worker.now - 6ms));
  CHECK(worker.admission.may_have_waited(worker.now, worker.now - 6ms));
}

TEST_CASE("what is dispatched within 5 ms of a calm poll has not waited for long", "[overload]") {
  Worker worker;
  CHECK_FALSE(worker.admission.usual(worker.now));
  REQUIRE(worker.admission.looks_calm(worker.now, worker.now - 1ms));
  CHECK(worker.admission.usual(worker.now + 4ms));
  CHECK_FALSE(worker.admission.usual(worker.now + 5ms));
  worker.admission.turn_was_long(worker.now, worker.now + 3ms);
  CHECK_FALSE(worker.admission.usual(worker.now + 4ms));
}

TEST_CASE("a request that is polled right after a long turn may have waited during it", "[overload]") {
  Worker worker;
  worker.admission.turn_was_long(worker.now - 30ms, worker.now);
  CHECK_FALSE(worker.usual(worker.now + 1ms, worker.now + 1ms));
  CHECK(worker.admission.may_have_waited(worker.now + 1ms, worker.now + 1ms));
  CHECK(worker.admission.longest_wait(worker.now + 1ms, worker.now + 1ms) == 31ms);
}

TEST_CASE("a request for which the loop has waited since the long turn has not waited", "[overload]") {
  Worker worker;
  worker.admission.turn_was_long(worker.now - 30ms, worker.now);
  CHECK(worker.usual(worker.now + 6ms, worker.now + 6ms));
  CHECK_FALSE(worker.admission.may_have_waited(worker.now + 6ms, worker.now + 6ms));
  CHECK(worker.admission.longest_wait(worker.now + 7ms, worker.now + 6ms) == 1ms);
}

TEST_CASE("a request that waits alone is executed, however long others hold the loop", "[overload]") {
  Worker worker;
  for (const auto end = worker.now + 2s; worker.now < end; worker.pass(40ms)) {
    CHECK(worker.dispatch_one(Priority::normal, 300ms));
  }
  CHECK_FALSE(worker.admission.overloaded_since());
}

// A poll reports sockets in an order of its own: what has just arrived may come before what waits.
TEST_CASE("two requests that have waited make a turn a late one, whatever else is in it", "[overload]") {
  Worker worker;
  for (const auto end = worker.now + 100ms; worker.now < end; worker.pass(4ms)) {
    const auto polled = worker.now;
    for (const auto wait : {0ms, 30ms, 1ms, 30ms, 2ms}) {
      worker.admission.dispatched(worker.now, polled);
      CHECK(worker.admission.admits(Priority::normal, worker.now, wait));
    }
  }
  CHECK_FALSE(worker.dispatch(30ms));
}

TEST_CASE("what a request waits within its turn does not make the turn a late one", "[overload]") {
  Worker worker;
  for (const auto end = worker.now + 500ms; worker.now < end;) {
    const auto polled = worker.now;
    for (const auto wait : {0ms, 4ms, 8ms, 12ms}) {
      worker.admission.dispatched(worker.now, polled);
      CHECK(worker.admission.admits(Priority::normal, worker.now, wait));
      worker.pass(4ms);
    }
  }
  CHECK_FALSE(worker.admission.overloaded_since());
}

TEST_CASE("a turn of more than 100 ms is an overload of its own", "[overload]") {
  Worker worker;
  const auto polled = worker.now;
  int refused = 0;
  for (int i = 0; i < 60; ++i, worker.pass(2ms)) {
    worker.admission.dispatched(worker.now, polled);
    refused += worker.admission.admits(Priority::normal, worker.now, worker.now - polled) ? 0 : 1;
  }
  CHECK(refused > 0);
  CHECK(refused < 10);
}

// What ten times the capacity does to an idle worker: each turn finds ten times of what the last one has executed.
// Latencies of up to 100 ms, of requests that had come before it was overloaded by the rule of 100 ms, were more than
// one percent of eight seconds.
TEST_CASE("a queue that grows fast is an overload after 50 ms", "[overload]") {
  Worker worker;
  CHECK(worker.long_turn(1, 0ms) == 0);
  CHECK(worker.long_turn(9, 2ms) == 0);
  CHECK(worker.long_turn(80, 18ms) > 50);
}

// New clients are accepted and served one after the other in one turn, in which ever more arrive.
TEST_CASE("so many clients that the last would wait for more than 120 ms are an overload", "[overload]") {
  Worker worker;
  CHECK_FALSE(worker.admission.asks_for_queue());
  const auto polled = worker.now;
  for (int i = 0; i < 8; ++i, worker.pass(2ms)) {
    worker.admission.dispatched(worker.now, polled);
    CHECK(worker.admission.admits(Priority::normal, worker.now, worker.now - polled));
  }
  CHECK(worker.admission.asks_for_queue());
  worker.admission.clients_wait(59, worker.now);
  CHECK_FALSE(worker.admission.overloaded_since());
  worker.admission.clients_wait(61, worker.now);
  CHECK(worker.admission.overloaded_since());
  CHECK_FALSE(worker.admission.asks_for_queue());
  worker.admission.dispatched(worker.now, polled);
  CHECK_FALSE(worker.admission.admits(Priority::normal, worker.now, worker.now - polled));
}

TEST_CASE("clients that wait behind a stall are no overload", "[overload]") {
  Worker worker;
  worker.occupy(60ms, 1);
  const auto polled = worker.now;
  for (int i = 0; i < 10; ++i, worker.pass(2ms)) {
    worker.admission.dispatched(worker.now, polled);
    CHECK(worker.admission.admits(Priority::normal, worker.now, 60ms));
    worker.admission.clients_wait(1000, worker.now);
  }
  CHECK_FALSE(worker.admission.overloaded_since());
}

TEST_CASE("a burst that takes less than 100 ms is executed", "[overload]") {
  Worker worker;
  CHECK(worker.long_turn(2, 0ms) == 0);
  CHECK(worker.long_turn(45, 4ms) == 0);
  CHECK_FALSE(worker.admission.overloaded_since());
}

TEST_CASE("a queue that grows slowly has 100 ms", "[overload]") {
  Worker worker;
  for (const auto& [requests, wait] : {std::pair(4, 0ms), {7, 8ms}, {13, 14ms}, {24, 26ms}}) {
    CHECK(worker.long_turn(requests, wait) == 0);
  }
  CHECK(worker.long_turn(40, 48ms) > 0);
}

TEST_CASE("the queue behind a stall is executed", "[overload]") {
  for (const auto time : {20ms, 40ms, 60ms}) {
    INFO(time.count());
    Worker worker;
    CHECK(worker.stall(time) == 0);
    CHECK_FALSE(worker.admission.overloaded_since());
  }
}

TEST_CASE("a stall of any length excuses 100 ms", "[overload]") {
  Worker worker;
  worker.occupy(500ms, 1);
  CHECK(worker.busy(200ms, 30ms) == 0);
  CHECK_FALSE(worker.dispatch(30ms));
}

// A worker that does not always get a core stalls again and again.
TEST_CASE("a stall does not excuse a queue that was there before", "[overload]") {
  Worker worker;
  for (int i = 0; i < 3; ++i) {
    worker.busy(40ms, 30ms);
    worker.occupy(30ms, 1);
  }
  CHECK(worker.admission.overloaded_since());
}

TEST_CASE("nothing is refused until for 100 ms every turn had a wait above 5 ms", "[overload]") {
  Worker worker;
  CHECK(worker.busy(100ms, 30ms) == 0);
  CHECK_FALSE(worker.admission.overloaded_since());
  CHECK_FALSE(worker.dispatch(30ms));
  CHECK(worker.admission.overloaded_since());
}

TEST_CASE("one turn of short waits starts the 100 ms again", "[overload]") {
  Worker worker;
  worker.busy(98ms, 30ms);
  worker.turn(Priority::normal, 5ms);
  CHECK(worker.busy(100ms, 30ms) == 0);
  CHECK_FALSE(worker.dispatch(30ms));
}

TEST_CASE("a usual request starts the 100 ms again", "[overload]") {
  Worker worker;
  worker.busy(98ms, 30ms);
  REQUIRE(worker.usual(worker.now, worker.now));
  CHECK(worker.busy(100ms, 30ms) == 0);
}

TEST_CASE("waits that are more than 100 ms apart are not one queue", "[overload]") {
  Worker worker;
  for (int i = 0; i < 10; ++i) {
    CHECK(worker.dispatch(300ms));
    worker.pass(101ms);
  }
  CHECK_FALSE(worker.admission.overloaded_since());
}

TEST_CASE("a queue that one stall has made is served", "[overload]") {
  Worker worker;
  worker.busy(50ms, 1ms);
  worker.pass(200ms);
  for (int i = 0; i < 40; ++i) CHECK(worker.dispatch(200ms));
  CHECK(worker.dispatch(1ms));
}

TEST_CASE("an overloaded worker refuses normal requests that have waited for more than 10 ms", "[overload]") {
  Worker worker;
  worker.overload();
  CHECK(worker.dispatch(10ms));
  CHECK_FALSE(worker.dispatch(11ms));
}

TEST_CASE("an overloaded worker refuses every background request", "[overload]") {
  Worker worker;
  worker.overload();
  CHECK_FALSE(worker.dispatch(Priority::background, 6ms));
  CHECK_FALSE(worker.dispatch(Priority::background, std::nullopt));
}

TEST_CASE("an overloaded worker executes critical requests, however long they have waited", "[overload]") {
  Worker worker;
  worker.overload();
  for (int i = 0; i < 1000; ++i) {
    worker.pass(2ms);
    CHECK(worker.dispatch(Priority::critical, i % 10 == 0 ? 15ms : 80ms));
    CHECK_FALSE(worker.dispatch(Priority::normal, 30ms));
  }
}

TEST_CASE("if critical requests alone are too many, everything else is refused, and of them the late ones",
          "[overload]") {
  Worker worker;
  worker.overload();
  CHECK(worker.busy(100ms, 101ms, Priority::critical) == 0);
  CHECK_FALSE(worker.dispatch(Priority::critical, 101ms));
  CHECK_FALSE(worker.dispatch(Priority::critical, 30ms));
  CHECK(worker.dispatch(Priority::critical, 8ms));
  CHECK_FALSE(worker.dispatch(Priority::normal, 8ms));
  CHECK_FALSE(worker.dispatch(Priority::normal, std::nullopt));
}

TEST_CASE("priorities come back one after the other", "[overload]") {
  Worker worker;
  worker.overload();
  worker.busy(104ms, 101ms, Priority::critical);
  REQUIRE_FALSE(worker.dispatch(Priority::normal, 8ms));
  CHECK(worker.turn(Priority::critical, 1ms));
  CHECK(worker.turn(Priority::normal, 8ms));
  CHECK_FALSE(worker.turn(Priority::normal, 30ms));
  CHECK(worker.turn(Priority::critical, 1ms));
  CHECK(worker.turn(Priority::normal, 30ms));
  CHECK_FALSE(worker.dispatch(Priority::background, 0ms));  // until the spell has ended
}

TEST_CASE("one turn of short waits ends the refusing of normal requests, and 20 ms of long waits begin it again",
          "[overload]") {
  Worker worker;
  worker.overload();
  worker.turn(Priority::normal, 4ms);
  CHECK(worker.busy(20ms, 30ms) == 0);
  CHECK_FALSE(worker.dispatch(30ms));
}

TEST_CASE("a request that waited behind its own connection says nothing about the worker", "[overload]") {
  Worker worker;
  for (int i = 0; i < 200; ++i) {
    worker.pass(2ms);
    CHECK(worker.dispatch(Priority::normal, std::nullopt));
  }
  worker.overload();
  CHECK(worker.dispatch(Priority::normal, std::nullopt));
}

TEST_CASE("a spell of overload is told when it begins and when half a second was quiet", "[overload]") {
  Worker worker;
  CHECK(worker.admission.tick(worker.now) == Change::none);
  worker.overload();
  CHECK_FALSE(worker.dispatch(30ms));
  CHECK(worker.admission.tick(worker.now) == Change::began);
  CHECK(worker.admission.tick(worker.now) == Change::none);
  worker.dispatch(1ms);
  worker.pass(499ms);
  CHECK(worker.admission.tick(worker.now) == Change::none);
  worker.pass(2ms);
  CHECK(worker.admission.tick(worker.now) == Change::ended);
  CHECK(worker.admission.shed(Priority::normal) == 4);
  CHECK_FALSE(worker.admission.overloaded_since());
  CHECK(worker.admission.tick(worker.now) == Change::none);
}

TEST_CASE("a spell ends without further requests", "[overload]") {
  Worker worker;
  worker.overload();
  CHECK(worker.admission.tick(worker.now) == Change::began);
  worker.pass(501ms);
  CHECK(worker.admission.tick(worker.now) == Change::ended);
  CHECK(worker.usual(worker.now, worker.now));
  CHECK(worker.busy(100ms, 30ms) == 0);
}

TEST_CASE("within a spell every request is looked at, but the kernel is asked only after long turns", "[overload]") {
  Worker worker;
  worker.overload();
  CHECK_FALSE(worker.usual(worker.now, worker.now));
  CHECK_FALSE(worker.admission.may_have_waited(worker.now, worker.now));
}

TEST_CASE("a worker of long handlers lets requests wait for one of them", "[overload]") {
  Worker worker;
  worker.occupy(30ms, 100);
  CHECK(worker.admission.longest_admitted_wait() > 55ms);
  CHECK(worker.admission.longest_admitted_wait() <= 60ms);
  CHECK(worker.busy(500ms, 25ms) == 0);  // below the target of such a worker
}

TEST_CASE("a worker of very long handlers lets requests wait for 100 ms at most", "[overload]") {
  Worker worker;
  worker.occupy(400ms, 100);
  CHECK(worker.admission.longest_admitted_wait() > 95ms);
  CHECK(worker.admission.longest_admitted_wait() <= 100ms);
}

TEST_CASE("one stall hardly changes how long requests may wait", "[overload]") {
  Worker worker;
  worker.occupy(2ms, 1000);
  worker.occupy(300ms, 1);
  CHECK(worker.admission.longest_admitted_wait() < 15ms);
}

TEST_CASE("short handlers let the target shrink again", "[overload]") {
  Worker worker;
  worker.occupy(50ms, 50);
  REQUIRE(worker.admission.longest_admitted_wait() > 90ms);
  worker.occupy(2ms, 1500);
  CHECK(worker.admission.longest_admitted_wait() == 10ms);
}

TEST_CASE("without overload control every request is usual", "[overload]") {
  Worker worker(false);
  worker.admission.turn_was_long(worker.now - 1s, worker.now);
  CHECK(worker.admission.usual(worker.now));
  CHECK(worker.admission.tick(worker.now) == Change::none);
}
