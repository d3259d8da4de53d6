// Coroutines as an application uses them. What is subtle is lifetimes, so these tests are worth most under
// AddressSanitizer.
#include "pronghorn/task.h"

#include <algorithm>
#include <cstring>
#include <latch>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "pronghorn/concurrent.h"
#include "pronghorn/offload.h"
#include "support/catch.h"
#include "unit/worker/runtime/small_tasks.h"
#include "unit/worker/runtime/test_loop.h"

using namespace pronghorn;
using namespace pronghorn::test;
using namespace pronghorn::worker;

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

// Each of them ended the worker.
TEST_CASE("a task that is empty, or has ended, throws where it is awaited", "[task][exception]") {
  TestLoop loop;
  const auto await = [](Task<int> task) -> Task<int> { co_return co_await std::move(task); };
  CHECK_THROWS_AS(loop.run(await({})), std::logic_error);
  Task<int> moved = later(1, 1ms);
  CHECK(loop.run(await(std::move(moved))) == 1);
  CHECK_THROWS_AS(loop.run(await(std::move(moved))), std::logic_error);  // NOLINT(bugprone-use-after-move)
  const auto twice = [](bool waits) -> Task<int> {
    Task<int> task = waits ? later(1, 1ms) : value(1);
    const int first = co_await std::move(task);
    co_return first + co_await std::move(task);  // NOLINT(bugprone-use-after-move)
  };
  CHECK_THROWS_AS(loop.run(twice(false)), std::logic_error);
  CHECK_THROWS_AS(loop.run(twice(true)), std::logic_error);
  CHECK_THROWS_AS(loop.run(when_all(value(1), Task<int>())), std::logic_error);
  CHECK_THROWS_AS(loop.run(when_any(Task<int>(), value(1))), std::logic_error);
  CHECK_THROWS_AS(loop.run(shield(Task<int>())), std::logic_error);
  CHECK_THROWS_AS(Task<int>().start(), std::logic_error);
  CHECK_THROWS_AS(Task<int>().take(), std::logic_error);
}

// The second resumed it in the middle of what it waited for, and the first waited for ever.
TEST_CASE("a task that is running throws where it is awaited again", "[task][exception]") {
  TestLoop loop;
  const auto await = [](Task<int>& task) -> Task<int> { co_return co_await std::move(task); };
  Task<int> shared = later(7, 1ms);
  Task<int> first = await(shared);
  Task<int> second = await(shared);
  const auto both = [&]() -> Task<int> {
    const auto fails = [&]() -> Task<bool> {
      try {
        co_await std::move(second);
      } catch (const std::logic_error&) {
        co_return true;
      }
      co_return false;
    };
    const auto [result, failed] = co_await when_all(std::move(first), fails());
    co_return failed ? result : -1;
  };
  CHECK(loop.run(both()) == 7);
  Task<int> started = later(1, 1ms);
  started.start();
  CHECK_THROWS_AS(started.start(), std::logic_error);
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
  // A write can discover that the client has disconnected, which destroys the handler from within its own co_await.
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
  const auto allocate = [] {
    std::set<void*> frames;
    for (int i = 0; i < 100; ++i) frames.insert(detail::allocate_frame(200));
    return frames;
  };
  const auto free = [](const std::set<void*>& frames) {
    for (void* frame : frames) detail::free_frame(frame, 200);
  };
  const std::set<void*> frames = allocate();
  std::set<void*> reused;
  std::latch freed(1);
  std::latch looked(1);
  std::thread other([&] {
    free(frames);
    freed.count_down();
    looked.wait();
    reused = allocate();
    free(reused);
  });
  freed.wait();
  const std::set<void*> more = allocate();
  looked.count_down();
  other.join();
  CHECK(frames.size() == 100);
  CHECK(std::ranges::none_of(more, [&frames](void* frame) { return frames.contains(frame); }));
#ifndef PRONGHORN_ADDRESS_SANITIZER  // there frames are not pooled
  CHECK(reused == frames);           // they belong to the thread that has freed them
#endif
  free(more);
}

TEST_CASE("a coroutine that was suspended runs for its own request again", "[task][running]") {
  TestLoop loop;
  // Only their addresses are used.
  auto* const first = reinterpret_cast<detail::Exchange*>(0x10);
  auto* const second = reinterpret_cast<detail::Exchange*>(0x20);
  const auto running = [] {
    detail::Exchange* const now = detail::set_running(nullptr);
    detail::set_running(now);
    return now;
  };
  auto child = [&running](detail::Exchange* mine, std::chrono::milliseconds delay) -> Task<int> {
    CHECK(running() == mine);
    co_await sleep_for(delay);
    CHECK(running() == mine);
    co_return 1;
  };
  auto handler = [&](detail::Exchange* mine) -> Task<void> {
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
