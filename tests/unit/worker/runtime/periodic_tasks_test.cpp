#include "worker/runtime/periodic_tasks.h"

#include <stdexcept>

#include "pronghorn/timer.h"
#include "pronghorn/worker.h"
#include "support/catch.h"
#include "unit/worker/runtime/test_loop.h"

using namespace pronghorn;
using namespace std::chrono_literals;
using worker::PeriodicTask;
using worker::PeriodicTasks;
using worker::TestLoop;

namespace {

class NoWorker final : public Worker {
 public:
  [[nodiscard]] unsigned slot() const noexcept override { return 0; }
  [[nodiscard]] unsigned generation() const noexcept override { return 1; }
  [[nodiscard]] bool draining() const noexcept override { return false; }
  [[nodiscard]] detail::Services& services() override { throw std::logic_error("no Redis"); }
  [[nodiscard]] detail::SocketService& socket_service() override { throw std::logic_error("no sockets"); }

 private:
  [[nodiscard]] void* find_state(const std::type_info&) const noexcept override { return nullptr; }
};

}  // namespace

TEST_CASE("a periodic task runs repeatedly, even after it has thrown", "[periodic]") {
  NoWorker worker;
  TestLoop loop;
  int runs = 0;
  const std::vector<PeriodicTask> tasks{{1ms, detail::make_hook([&runs] {
                                           if (++runs == 1) throw std::runtime_error("the first");
                                         })}};
  PeriodicTasks periodic;
  periodic.start(tasks, worker);
  CHECK(runs == 0);
  loop.run_until([&runs] { return runs == 3; });
  periodic.stop();
}

TEST_CASE("runs of a periodic task do not overlap", "[periodic]") {
  NoWorker worker;
  TestLoop loop;
  int running = 0;
  int most = 0;
  int runs = 0;
  const std::vector<PeriodicTask> tasks{{1ms, detail::make_hook([&]() -> Task<void> {
                                           most = std::max(most, ++running);
                                           co_await sleep_for(5ms);
                                           --running;
                                           ++runs;
                                         })}};
  PeriodicTasks periodic;
  periodic.start(tasks, worker);
  loop.run_until([&runs] { return runs == 3; });
  CHECK(most == 1);
  periodic.stop();
}

TEST_CASE("a stopped periodic task begins no run and ends the one that has begun", "[periodic]") {
  NoWorker worker;
  TestLoop loop;
  int begun = 0;
  int ended = 0;
  const std::vector<PeriodicTask> tasks{{1ms, detail::make_hook([&]() -> Task<void> {
                                           ++begun;
                                           co_await sleep_for(20ms);
                                           ++ended;
                                         })}};
  PeriodicTasks periodic;
  periodic.start(tasks, worker);
  CHECK(loop.runtime().background_tasks() == 0);  // one that waits holds up nothing
  loop.run_until([&begun] { return begun == 1; });
  CHECK(loop.runtime().background_tasks() == 1);
  periodic.stop();
  loop.run_until([&loop] { return loop.runtime().background_tasks() == 0; });
  CHECK(begun == 1);
  CHECK(ended == 1);
}
