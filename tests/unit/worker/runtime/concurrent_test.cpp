#include "pronghorn/concurrent.h"

#include <memory>
#include <string>
#include <vector>

#include "pronghorn/offload.h"
#include "support/catch.h"
#include "unit/worker/runtime/small_tasks.h"
#include "unit/worker/runtime/test_loop.h"

using namespace pronghorn;
using namespace pronghorn::test;
using namespace pronghorn::worker;

TEST_CASE("when_all yields every result in order, and waits for the slowest", "[task][when_all]") {
  TestLoop loop;
  auto all = []() -> Task<std::string> {
    const auto [a, b, c] = co_await when_all(later(1, 10ms), nothing_later(3ms), value(3));
    static_cast<void>(b);
    co_return std::to_string(a) + std::to_string(c);
  };
  const auto begin = Clock::now();
  CHECK(loop.run(all()) == "13");
  CHECK(Clock::now() - begin >= 10ms);
}

TEST_CASE("when_all runs its tasks at the same time", "[task][when_all]") {
  TestLoop loop;
  int live = 0;
  auto numbered = [](int number, int& count) -> Task<int> {
    const Witness witness(count);
    co_await sleep_for(1ms);
    co_return number;
  };
  std::vector<Task<int>> tasks;
  for (int i = 0; i < 50; ++i) tasks.push_back(numbered(i, live));
  Task<std::vector<int>> all = when_all(std::move(tasks));
  all.start();
  CHECK(live == 50);  // before the loop has turned
  loop.run_until([&all] { return all.done(); });
  const std::vector<int> results = all.take();
  REQUIRE(results.size() == 50);
  for (int i = 0; i < 50; ++i) CHECK(results[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("when_all runs any number of tasks without a result", "[task][when_all]") {
  TestLoop loop;
  int ended = 0;
  auto counted = [](int& count) -> Task<void> {
    co_await sleep_for(1ms);
    ++count;
  };
  std::vector<Task<void>> tasks;
  for (int i = 0; i < 5; ++i) tasks.push_back(counted(ended));
  CHECK(loop.run(when_all(std::move(tasks))).size() == 5);
  CHECK(ended == 5);
}

TEST_CASE("when_all of nothing is done at once", "[task][when_all]") {
  TestLoop loop;
  CHECK(loop.run(when_all(std::vector<Task<int>>{})).empty());
  CHECK(std::tuple_size_v<decltype(loop.run(when_all()))> == 0);
}

TEST_CASE("when_all waits for all and then throws the first error in argument order", "[task][when_all][exception]") {
  TestLoop loop;
  int live = 0;
  auto all = [](int& count) -> Task<int> {
    auto slow = witnessed(count, 10ms);
    auto late_failure = [](std::string text) -> Task<int> {
      co_await sleep_for(5ms);
      throw std::runtime_error(text);
    };
    co_await when_all(std::move(slow), late_failure("second"), failing_at_once("third"));
    co_return 0;
  };
  const auto begin = Clock::now();
  CHECK_THROWS_WITH(loop.run(all(live)), "second");
  CHECK(Clock::now() - begin >= 10ms);
  CHECK(live == 0);
}

TEST_CASE("when_all of a vector throws the first error too", "[task][when_all][exception]") {
  TestLoop loop;
  std::vector<Task<int>> tasks;
  tasks.push_back(value(1));
  tasks.push_back(failing("later"));
  tasks.push_back(failing_at_once("now"));
  CHECK_THROWS_WITH(loop.run(when_all(std::move(tasks))), "later");
}

TEST_CASE("destroying when_all destroys every branch", "[task][when_all][cancel]") {
  TestLoop loop;
  int live = 0;
  auto all = [](int& count) -> Task<void> {
    co_await when_all(witnessed(count, 1h), witnessed(count, 1h), witnessed(count, 1h));
  };
  Task<void> task = all(live);
  task.start();
  CHECK(live == 3);
  task.reset();
  CHECK(live == 0);
}

TEST_CASE("when_any yields the first to end and destroys the others", "[task][when_any]") {
  TestLoop loop;
  int live = 0;
  auto any = [](int& count) -> Task<std::size_t> {
    auto result = co_await when_any(witnessed(count, 1h), later(5, 2ms), witnessed(count, 1h));
    CHECK(count == 0);
    CHECK(std::get<1>(result) == 5);
    co_return result.index();
  };
  CHECK(loop.run(any(live)) == 1);
}

TEST_CASE("when_any does not start tasks after one that has ended at once", "[task][when_any]") {
  TestLoop loop;
  bool started = false;
  auto mark = [](bool& flag) -> Task<int> {
    flag = true;
    co_return 2;
  };
  const auto result = loop.run(when_any(later(1, 1h), value(9), mark(started)));
  CHECK(result.index() == 1);
  CHECK_FALSE(started);
}

TEST_CASE("when_any throws the error of the first to end", "[task][when_any][exception]") {
  TestLoop loop;
  CHECK_THROWS_WITH(loop.run(when_any(later(1, 1h), failing("soon"))), "soon");
  CHECK_THROWS_WITH(loop.run(when_any(failing_at_once("now"), value(1))), "now");
}

// The countdown went below zero and the awaiting coroutine was never resumed.
TEST_CASE("when_any yields the first to end, whatever ends in the same moment", "[task][when_any]") {
  TestLoop loop;
  Gate gate;
  auto opener = [](Gate& to_open) -> Task<int> {
    to_open.open();
    throw std::runtime_error("not the first to end");
    co_return 0;
  };
  const auto result = loop.run(when_any(through(gate, 4), opener(gate)));
  CHECK(result.index() == 0);
  CHECK(std::get<0>(result) == 4);
}

TEST_CASE("with_deadline yields the result in time", "[task][with_deadline]") {
  TestLoop loop;
  CHECK(loop.run(with_deadline(1h, later(3, 2ms))) == 3);
  loop.run(with_deadline(1h, nothing_later(1ms)));
  CHECK(loop.run(with_deadline(0ms, value(8))) == 8);
}

TEST_CASE("with_deadline destroys what is too slow and throws", "[task][with_deadline]") {
  TestLoop loop;
  int live = 0;
  CHECK_THROWS_AS(loop.run(with_deadline(3ms, witnessed(live, 1h))), DeadlineExceeded);
  CHECK(live == 0);
  CHECK_THROWS_AS(loop.run(with_deadline(0ms, witnessed(live, 1h))), DeadlineExceeded);
  CHECK(live == 0);
}

TEST_CASE("with_deadline passes on what the task throws", "[task][with_deadline][exception]") {
  TestLoop loop;
  CHECK_THROWS_WITH(loop.run(with_deadline(1h, failing("own error"))), "own error");
}

TEST_CASE("a spawned task begins at once and is counted until it has ended", "[task][spawn]") {
  TestLoop loop;
  int live = 0;
  int idle = 0;
  loop.runtime().on_idle([&idle] { ++idle; });
  auto work = [](int& count) -> Task<void> {
    const Witness witness(count);
    co_await sleep_for(3ms);
  };
  spawn(work(live));
  CHECK(live == 1);
  CHECK(loop.runtime().background_tasks() == 1);
  loop.run_until([&idle] { return idle == 1; });
  CHECK(live == 0);
  CHECK(loop.runtime().background_tasks() == 0);
}

TEST_CASE("a spawned lambda keeps its captures until its task has ended", "[task][spawn]") {
  TestLoop loop;
  auto kept = std::make_shared<std::string>("a text that is too long for the string's own buffer");
  const std::weak_ptr<std::string> watched = kept;
  std::string seen;
  spawn([kept = std::move(kept), &seen]() -> Task<void> {
    co_await sleep_for(1ms);
    seen = *kept;
  });
  CHECK_FALSE(watched.expired());
  loop.run_until([&loop] { return loop.runtime().background_tasks() == 0; });
  CHECK(seen == "a text that is too long for the string's own buffer");
  CHECK(watched.expired());
}

TEST_CASE("an error in a spawned task ends that task alone", "[task][spawn][exception]") {
  TestLoop loop;
  int live = 0;
  bool finished = false;
  auto broken = [](int& count) -> Task<void> {
    const Witness witness(count);
    co_await sleep_for(1ms);
    throw std::runtime_error("told in the log of this test");
  };
  auto other = [](bool& flag) -> Task<void> {
    co_await sleep_for(3ms);
    flag = true;
  };
  spawn(broken(live));
  spawn(other(finished));
  CHECK(loop.runtime().background_tasks() == 2);
  loop.run_until([&loop] { return loop.runtime().background_tasks() < 2; });
  CHECK(live == 0);
  loop.run_until([&loop] { return loop.runtime().background_tasks() == 0; });
  CHECK(finished);
}

TEST_CASE("a spawned task may spawn others", "[task][spawn]") {
  TestLoop loop;
  int ended = 0;
  struct Tree {
    static Task<void> grow(int depth, int& count) {
      if (depth > 0) {
        spawn(grow(depth - 1, count));
        spawn(grow(depth - 1, count));
      }
      co_await sleep_for(std::chrono::milliseconds(depth));
      ++count;
    }
  };
  spawn(Tree::grow(6, ended));
  loop.run_until([&loop] { return loop.runtime().background_tasks() == 0; });
  CHECK(ended == 127);
}

TEST_CASE("background tasks that are left are destroyed with the runtime", "[task][spawn][cancel]") {
  int live = 0;
  {
    TestLoop loop;
    auto endless = [](int& count) -> Task<void> {
      const Witness witness(count);
      co_await sleep_for(1h);
    };
    spawn(endless(live));
    spawn(endless(live));
    CHECK(live == 2);
  }
  CHECK(live == 0);
}

TEST_CASE("shield yields the result of its task, or its error", "[task][shield]") {
  TestLoop loop;
  CHECK(loop.run(shield(later(5, 2ms))) == 5);
  CHECK(loop.run(shield(value(6))) == 6);
  loop.run(shield(nothing_later(1ms)));
  CHECK_THROWS_WITH(loop.run(shield(failing("shielded"))), "shielded");
}

TEST_CASE("a shielded task runs to its end when the one who awaits it is destroyed", "[task][shield][cancel]") {
  TestLoop loop;
  bool finished = false;
  auto important = [](bool& flag) -> Task<int> {
    co_await sleep_for(5ms);
    flag = true;
    co_return 1;
  };
  auto handler = [&important](bool& flag) -> Task<void> { co_await shield(important(flag)); };
  Task<void> task = handler(finished);
  task.start();
  task.reset();
  CHECK_FALSE(finished);
  loop.run_until([&finished] { return finished; });
}
