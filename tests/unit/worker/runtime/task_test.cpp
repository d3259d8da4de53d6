// Coroutines as an application uses them. The code under test is mostly in pronghorn/task.h and concurrent.h; what is
// subtle in it is lifetimes, so these tests are worth most under AddressSanitizer.
#include "pronghorn/task.h"
#include "pronghorn/concurrent.h"
#include "pronghorn/offload.h"
#include "pronghorn/timer.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include "support/catch.h"
#include "unit/worker/runtime/test_loop.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;

// Counts its live instances and remembers the order in which they went.
struct Witness {
  explicit Witness(int& count) : live(&count) { ++*live; }
  Witness(Witness&& other) noexcept : live(std::exchange(other.live, nullptr)) {}
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;
  Witness& operator=(Witness&&) = delete;
  ~Witness() {
    if (live) --*live;
  }
  int* live;
};

Task<int> value(int number) { co_return number; }
Task<int> later(int number, std::chrono::milliseconds delay) {
  co_await sleep_for(delay);
  co_return number;
}
Task<void> nothing_later(std::chrono::milliseconds delay) { co_await sleep_for(delay); }
Task<int> failing(std::string message) {
  co_await sleep_for(1ms);
  throw std::runtime_error(message);
}
Task<int> failing_at_once(std::string message) {
  throw std::runtime_error(message);
  co_return 0;
}
Task<int> witnessed(int& live, std::chrono::milliseconds delay) {
  const Witness witness(live);
  co_await sleep_for(delay);
  co_return 1;
}

// A place where a coroutine waits until the test lets it go on.
struct Gate {
  std::coroutine_handle<> waiting;
  bool ready = false;

  [[nodiscard]] bool await_ready() const noexcept { return ready; }
  void await_suspend(std::coroutine_handle<> handle) noexcept { waiting = handle; }
  void await_resume() const noexcept {}
  void open() {
    ready = true;
    if (waiting) std::exchange(waiting, nullptr).resume();
  }
};

Task<int> through(Gate& gate, int number) {
  co_await gate;
  co_return number;
}

}  // namespace

TEST_CASE("a task yields its value and runs only when it is awaited", "[task]") {
  TestLoop loop;
  bool started = false;
  auto lazy = [](bool& flag) -> Task<std::string> {
    flag = true;
    co_return "done";
  };
  Task<std::string> task = lazy(started);
  CHECK_FALSE(started);
  CHECK(loop.run(std::move(task)) == "done");
  CHECK(started);
}

TEST_CASE("a task that is never awaited frees its arguments", "[task]") {
  auto shared = std::make_shared<int>(1);
  {
    auto keep = [](std::shared_ptr<int>) -> Task<void> { co_return; };
    const Task<void> task = keep(shared);
    CHECK(shared.use_count() == 2);
  }
  CHECK(shared.use_count() == 1);
}

TEST_CASE("an exception passes through every awaiting coroutine", "[task][exception]") {
  TestLoop loop;
  auto outer = []() -> Task<int> {
    auto middle = []() -> Task<int> {
      const int result = co_await failing("deep");
      co_return result + 1;
    };
    const int result = co_await middle();
    co_return result + 1;
  };
  CHECK_THROWS_WITH(loop.run(outer()), "deep");
}

TEST_CASE("an exception can be caught where the task is awaited, and the coroutine goes on", "[task][exception]") {
  TestLoop loop;
  auto catching = []() -> Task<std::string> {
    std::string caught;
    try {
      co_await failing("first");
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    const int number = co_await later(7, 1ms);
    co_return caught + std::to_string(number);
  };
  CHECK(loop.run(catching()) == "first7");
}

TEST_CASE("what is thrown need not be a std::exception", "[task][exception]") {
  TestLoop loop;
  auto odd = []() -> Task<void> {
    co_await sleep_for(1ms);
    throw 42;
  };
  CHECK_THROWS_AS(loop.run(odd()), int);
}

// Only optimised builds turn the transfer between coroutines into a jump; without one, every turn of this loop used to
// leave two frames on the stack.
TEST_CASE("a loop over a million tasks that end at once does not use up the stack", "[task]") {
  TestLoop loop;
  auto sum = []() -> Task<long> {
    long total = 0;
    for (int i = 0; i < 1'000'000; ++i) total += co_await value(1);
    co_return total;
  };
  CHECK(loop.run(sum()) == 1'000'000);
}

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

TEST_CASE("a sleep that begins after the loop was blocked is not cut short", "[task][timer]") {
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

TEST_CASE("a sleep of practically forever is accepted", "[task][timer]") {
  TestLoop loop;
  auto forever = []() -> Task<void> { co_await sleep_for(std::chrono::nanoseconds::max()); };
  Task<void> task = forever();
  task.start();
  uv_run(loop.loop(), UV_RUN_NOWAIT);
  CHECK_FALSE(task.done());
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

TEST_CASE("destroying a task destroys the locals of the whole chain, innermost first", "[task][cancel]") {
  TestLoop loop;
  std::string order;
  struct Note {
    std::string& log;
    char name;
    ~Note() { log += name; }
  };
  auto inner = [](std::string& log) -> Task<void> {
    const Note note{log, 'i'};
    co_await sleep_for(1h);
  };
  auto middle = [&inner](std::string& log) -> Task<void> {
    const Note note{log, 'm'};
    co_await inner(log);
  };
  auto outer = [&middle](std::string& log) -> Task<void> {
    const Note note{log, 'o'};
    co_await middle(log);
  };
  Task<void> task = outer(order);
  task.start();
  CHECK(order.empty());
  task.reset();
  CHECK(order == "imo");
}

TEST_CASE("what a coroutine waits for may destroy the whole chain that awaits it", "[task][cancel]") {
  // Writing to a client can find out that it has left, which destroys the handler from within its own co_await.
  struct Destroyer {
    Task<void>& victim;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<>) const { victim.reset(); }
    void await_resume() const noexcept {}
  };
  TestLoop loop;
  int live = 0;
  auto leaf = [](Task<void>& root, int& count) -> Task<int> {
    const Witness witness(count);
    co_await Destroyer{root};
    co_return 1;
  };
  SECTION("through tasks") {
    auto middle = [&leaf](Task<void>& root, int& count) -> Task<void> {
      const Witness witness(count);
      co_await leaf(root, count);
    };
    Task<void> root;
    root = middle(root, live);
    root.start();
    CHECK_FALSE(root.valid());
  }
  SECTION("through a branch of when_all") {
    auto middle = [&leaf](Task<void>& root, int& count) -> Task<void> {
      const Witness witness(count);
      auto first = later(1, 1h);
      co_await when_all(std::move(first), leaf(root, count), leaf(root, count));
    };
    Task<void> root;
    root = middle(root, live);
    root.start();
    CHECK_FALSE(root.valid());
  }
  SECTION("after it was resumed by the loop") {
    auto middle = [&leaf](Task<void>& root, int& count) -> Task<void> {
      const Witness witness(count);
      co_await sleep_for(1ms);
      co_await leaf(root, count);
    };
    Task<void> root;
    root = middle(root, live);
    root.start();
    loop.run_until([&] { return !root.valid(); });
  }
  CHECK(live == 0);
}

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
  std::vector<Task<int>> tasks;
  for (int i = 0; i < 50; ++i) tasks.push_back(later(i, 30ms));
  const auto begin = Clock::now();
  const std::vector<int> results = loop.run(when_all(std::move(tasks)));
  CHECK(Clock::now() - begin < 1s);
  REQUIRE(results.size() == 50);
  for (int i = 0; i < 50; ++i) CHECK(results[static_cast<std::size_t>(i)] == i);
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

TEST_CASE("results that can only be moved pass through everything", "[task]") {
  TestLoop loop;
  auto make = [](int number) -> Task<std::unique_ptr<int>> {
    co_await sleep_for(1ms);
    co_return std::make_unique<int>(number);
  };
  auto all = [&make]() -> Task<int> {
    auto [a, b] = co_await when_all(make(1), make(2));
    auto any = co_await when_any(make(3), later(0, 1h));
    auto shielded = co_await shield(make(4));
    auto timely = co_await with_deadline(1h, make(5));
    auto offloaded = co_await offload([] { return std::make_unique<int>(6); });
    co_return *a + *b + *std::get<0>(any) + *shielded + *timely + *offloaded;
  };
  CHECK(loop.run(all()) == 21);
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

TEST_CASE("an error in a spawned task ends that task alone", "[task][spawn][exception]") {
  TestLoop loop;
  auto broken = []() -> Task<void> {
    co_await sleep_for(1ms);
    throw std::runtime_error("told in the log of this test");
  };
  spawn(broken());
  loop.run_until([&loop] { return loop.runtime().background_tasks() == 0; });
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

TEST_CASE("offload runs on another thread and comes back to the loop", "[task][offload]") {
  TestLoop loop;
  auto work = []() -> Task<bool> {
    const auto here = std::this_thread::get_id();
    const auto there = co_await offload([] { return std::this_thread::get_id(); });
    co_return there != here&& std::this_thread::get_id() == here;
  };
  CHECK(loop.run(work()));
}

TEST_CASE("what offloaded work throws comes out of the co_await", "[task][offload][exception]") {
  TestLoop loop;
  CHECK_THROWS_WITH(loop.run(offload([]() -> int { throw std::runtime_error("pool"); })), "pool");
  int ran = 0;
  loop.run(offload([&ran] { ++ran; }));
  CHECK(ran == 1);
}

TEST_CASE("offloaded work whose coroutine was destroyed is forgotten and freed", "[task][offload][cancel]") {
  auto token = std::make_shared<int>(0);
  {
    TestLoop loop;
    for (int i = 0; i < 20; ++i) {
      Task<int> task = offload([token] {
        std::this_thread::sleep_for(1ms);
        return *token;
      });
      task.start();
      if (i % 2 == 0) uv_run(loop.loop(), UV_RUN_NOWAIT);
      task.reset();
    }
  }
  CHECK(token.use_count() == 1);
}

TEST_CASE("offloaded work that is still queued when the runtime ends is freed", "[task][offload][cancel]") {
  auto token = std::make_shared<int>(0);
  std::vector<Task<int>> tasks;
  {
    TestLoop loop;
    for (int i = 0; i < 30; ++i) {
      tasks.push_back(offload([token] {
        std::this_thread::sleep_for(1ms);
        return *token;
      }));
      tasks.back().start();
    }
    tasks.clear();
  }
  CHECK(token.use_count() == 1);
}

TEST_CASE("frames of every size can be allocated and freed in any order", "[task][frame_pool]") {
  std::vector<std::pair<void*, std::size_t>> frames;
  for (int round = 0; round < 3; ++round) {
    for (std::size_t size = 1; size < 9000; size = size * 3 / 2 + 1) {
      for (int i = 0; i < 40; ++i) {
        void* const frame = detail::allocate_frame(size);
        CHECK(reinterpret_cast<std::uintptr_t>(frame) % alignof(std::max_align_t) == 0);
        std::memset(frame, round, size);
        frames.emplace_back(frame, size);
      }
    }
    for (std::size_t i = 0; i < frames.size(); ++i) std::swap(frames[i], frames[(i * 7919) % frames.size()]);
    for (const auto& [frame, size] : frames) detail::free_frame(frame, size);
    frames.clear();
  }
}

TEST_CASE("frames may be freed on another thread than the one that made them", "[task][frame_pool]") {
  std::vector<void*> frames;
  for (int i = 0; i < 100; ++i) frames.push_back(detail::allocate_frame(200));
  std::thread other([&frames] {
    for (void* frame : frames) detail::free_frame(frame, 200);
  });
  other.join();
}

TEST_CASE("a coroutine that was suspended runs for its own request again", "[task][running]") {
  TestLoop loop;
  // Only their addresses are used.
  auto* const first = reinterpret_cast<worker::Exchange*>(0x10);
  auto* const second = reinterpret_cast<worker::Exchange*>(0x20);
  const auto running = [] {
    worker::Exchange* const now = detail::set_running(nullptr);
    detail::set_running(now);
    return now;
  };
  auto child = [&running](worker::Exchange* mine, std::chrono::milliseconds delay) -> Task<int> {
    CHECK(running() == mine);
    co_await sleep_for(delay);
    CHECK(running() == mine);
    co_return 1;
  };
  auto handler = [&](worker::Exchange* mine) -> Task<void> {
    co_await child(mine, 3ms);
    CHECK(running() == mine);
    co_await when_all(child(mine, 2ms), child(mine, 1ms), child(mine, 0ms));
    CHECK(running() == mine);
    co_await when_any(child(mine, 1h), child(mine, 1ms));
    CHECK(running() == mine);
    co_await offload([] {});
    CHECK(running() == mine);
    spawn(nothing_later(1ms));
    CHECK(running() == mine);
    spawn([](auto& whose) -> Task<void> {
      CHECK(whose() == nullptr);
      co_return;
    }(running));
    CHECK_THROWS(co_await failing("x"));
    CHECK(running() == mine);
    co_await shield(nothing_later(2ms));
    CHECK(running() == mine);
  };
  Task<void> one = handler(first);
  Task<void> two = handler(second);
  detail::set_running(first);
  one.start();
  CHECK(running() == nullptr);
  detail::set_running(second);
  two.start();
  CHECK(running() == nullptr);
  loop.run_until([&] { return one.done() && two.done(); });
  detail::set_running(nullptr);
  one.take();
  two.take();
}
