#include "pronghorn/timer.h"

#include <algorithm>
#include <vector>

#include "support/catch.h"
#include "unit/worker/runtime/small_tasks.h"
#include "unit/worker/runtime/test_loop.h"

using namespace pronghorn;
using namespace pronghorn::test;
using namespace pronghorn::worker;

TEST_CASE("sleep_for waits at least as long as it was told, and zero does not wait", "[task][timer]") {
  TestLoop loop;
  const auto begin = Clock::now();
  loop.run(nothing_later(15ms));
  CHECK(Clock::now() - begin >= 15ms);
  Task<void> none = nothing_later(0ms);
  none.start();
  CHECK(none.done());
  Task<void> negative = nothing_later(-5ms);
  negative.start();
  CHECK(negative.done());
}

TEST_CASE("a sleep of less than a millisecond waits for at least that time", "[task][timer]") {
  TestLoop loop;
  auto short_sleep = []() -> Task<void> { co_await sleep_for(300us); };
  const auto begin = Clock::now();
  loop.run(short_sleep());
  CHECK(Clock::now() - begin >= 300us);
}

TEST_CASE("a sleep that begins after the loop was blocked does not end early", "[task][timer]") {
  TestLoop loop;
  auto blocked = []() -> Task<Clock::duration> {
    co_await sleep_for(1ms);
    const auto until = Clock::now() + 30ms;  // the loop's cached time is now 30 ms old
    while (Clock::now() < until) {
    }
    const auto begin = Clock::now();
    co_await sleep_for(20ms);
    co_return Clock::now() - begin;
  };
  CHECK(loop.run(blocked()) >= 20ms);
}

TEST_CASE("a practically infinite sleep is accepted", "[task][timer]") {
  TestLoop loop;
  const auto check = [&loop](auto longest) {
    auto forever = [](auto duration) -> Task<void> { co_await sleep_for(duration); };
    Task<void> task = forever(longest);
    task.start();
    uv_run(loop.loop(), UV_RUN_NOWAIT);
    CHECK_FALSE(task.done());
  };
  check(std::chrono::nanoseconds::max());
  check(std::chrono::milliseconds::max());  // more nanoseconds than 64 bits hold
  check(std::chrono::seconds::max());
  check(std::chrono::hours::max());
  check(std::chrono::years(300));
}

TEST_CASE("timers expire in the order of their times, whatever the order in which they were armed", "[timer]") {
  TestLoop loop;
  std::vector<int> order;
  auto sleeper = [](std::vector<int>& log, int ms) -> Task<void> {
    co_await sleep_for(std::chrono::milliseconds(ms));
    log.push_back(ms);
  };
  std::vector<Task<void>> tasks;
  for (const int ms : {9, 3, 17, 1, 25, 5, 21, 13, 7, 11, 19, 15, 23}) tasks.push_back(sleeper(order, ms));
  for (auto& task : tasks) task.start();
  loop.run_until([&] { return order.size() == tasks.size(); });
  CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("a thousand timers survive any pattern of cancelling", "[timer]") {
  TestLoop loop;
  int live = 0;
  unsigned seed = 12345;
  const auto random = [&seed] { return seed = seed * 1664525U + 1013904223U, seed >> 16; };
  std::vector<Task<int>> tasks;
  for (int i = 0; i < 1000; ++i) {
    tasks.push_back(witnessed(live, std::chrono::milliseconds(1 + random() % 40)));
    tasks.back().start();
  }
  for (int i = 0; i < 600; ++i) tasks[random() % tasks.size()].reset();
  loop.run_until([&] { return live == 0; });
  for (auto& task : tasks) CHECK((!task.valid() || task.done()));
}

TEST_CASE("a timer that expires may destroy those that expire with it", "[timer]") {
  TestLoop loop;
  std::vector<Task<void>> tasks(20);
  int ended = 0;
  auto killer = [](std::vector<Task<void>>& all, int self, int& count) -> Task<void> {
    co_await sleep_for(5ms);
    ++count;
    for (int i = 0; i < static_cast<int>(all.size()); ++i) {
      if (i != self) all[static_cast<std::size_t>(i)].reset();
    }
  };
  for (int i = 0; i < 20; ++i) tasks[static_cast<std::size_t>(i)] = killer(tasks, i, ended);
  for (auto& task : tasks) task.start();
  loop.run_until([&] { return ended > 0; });
  CHECK(ended == 1);
}
