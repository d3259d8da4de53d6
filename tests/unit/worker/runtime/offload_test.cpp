#include "pronghorn/offload.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.h"
#include "unit/worker/runtime/small_tasks.h"
#include "unit/worker/runtime/test_loop.h"

using namespace pronghorn;
using namespace pronghorn::test;
using namespace pronghorn::worker;

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

TEST_CASE("offloaded work whose coroutine was destroyed is abandoned and freed", "[task][offload][cancel]") {
  auto token = std::make_shared<int>(0);
  {
    TestLoop loop;
    const auto work = [token] {
      std::this_thread::sleep_for(1ms);
      return *token;
    };
    for (int i = 0; i < 20; ++i) {
      Task<int> task = offload(work);
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
    const auto work = [token] {
      std::this_thread::sleep_for(1ms);
      return *token;
    };
    for (int i = 0; i < 30; ++i) {
      tasks.push_back(offload(work));
      tasks.back().start();
    }
    tasks.clear();
  }
  CHECK(token.use_count() == 1);
}

// co_await offload([owner]{...}) destroyed the captures twice with GCC 12; now it does not compile, see
// tests/unit/include/compile_fail.
TEST_CASE("what offloaded work owns is destroyed once", "[task][offload]") {
  int live = 0;
  {
    TestLoop loop;
    auto named = [](int& count) -> Task<int> {
      auto owner = std::make_shared<Witness>(count);
      auto work = [owner] { return *owner->live; };
      co_return co_await offload(work);
    };
    CHECK(loop.run(named(live)) == 1);
    CHECK(live == 0);
    auto with_arguments = [](int& count) -> Task<int> {
      const auto look = [](const Witness& witness, const std::string& text) {
        return *witness.live + static_cast<int>(text.size());
      };
      co_return co_await offload(look, Witness(count), std::string(100, 'x'));
    };
    CHECK(loop.run(with_arguments(live)) == 101);
  }
  CHECK(live == 0);
}

TEST_CASE("arguments of offloaded work may be of types that can only be moved", "[task][offload]") {
  TestLoop loop;
  auto moved = []() -> Task<int> {
    const auto take = [](std::unique_ptr<int> number) { return *number; };
    co_return co_await offload(take, std::make_unique<int>(7));
  };
  CHECK(loop.run(moved()) == 7);
}
