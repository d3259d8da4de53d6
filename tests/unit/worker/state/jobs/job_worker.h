// Workers that run jobs, several in one process.
#pragma once

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "pronghorn/jobs.h"
#include "pronghorn/timer.h"
#include "unit/worker/state/state_worker.h"
#include "worker/state/jobs/job_service.h"

namespace pronghorn::test {

class JobWorker : public StateWorker {
 public:
  // `owner` names it in Redis.
  JobWorker(const Config& config, std::string owner) : StateWorker(config), stub_(*this) {
    state->jobs.call_owner(std::move(owner));
    ready();
  }
  JobWorker(const RedisProcess& redis, std::string owner) : JobWorker(config_for(redis.url()), std::move(owner)) {}

  // Before take_jobs().
  JobWorker& job(std::string name, JobHandler handler, const JobOptions& options = {}) {
    entries_.push_back({std::move(name), handler.function(), options});
    return *this;
  }
  JobWorker& take_jobs() {
    (void)wait([] { return true; });  // makes its runtime the current one
    state->jobs.start(entries_, schedules_, stub_);
    return *this;
  }

  [[nodiscard]] Jobs jobs() const { return Jobs(state->jobs); }
  std::string enqueue(const std::string& name, const std::string& payload = "", const EnqueueOptions& options = {}) {
    return run(jobs().enqueue(name, payload, options));
  }
  JobStatus find(const std::string& id) {
    const auto found = run(jobs().find(id));
    REQUIRE(found);
    return *found;
  }
  JobState state_of(const std::string& id) { return find(id).state; }
  bool wait_state(const std::string& id, JobState wanted) {
    return wait([&] { return state_of(id) == wanted; });
  }
  JobCounts counts() { return run(jobs().counts()); }
  std::uint64_t count(Count which) { return (*row)[which].load(); }

 private:
  class Stub final : public pronghorn::Worker {
   public:
    explicit Stub(JobWorker& owner) : owner_(owner) {}
    [[nodiscard]] unsigned slot() const noexcept override { return 3; }
    [[nodiscard]] unsigned generation() const noexcept override { return 1; }
    [[nodiscard]] bool draining() const noexcept override { return false; }
    [[nodiscard]] StateServices& services() override { return *owner_.state; }
    [[nodiscard]] pronghorn::detail::SocketService& socket_service() override { throw std::logic_error("no sockets"); }

   private:
    [[nodiscard]] void* find_state(const std::type_info&) const noexcept override { return nullptr; }
    JobWorker& owner_;
  };

  Stub stub_;
  std::vector<worker::JobEntry> entries_;
  std::vector<worker::ScheduleEntry> schedules_;
};

// Jobs that wait until the test lets them go.
struct Gate {
  bool open = false;
  int inside = 0;
  int most_inside = 0;
  int passed = 0;

  JobHandler handler() {
    return [this](Job&) -> Task<void> {
      most_inside = std::max(most_inside, ++inside);
      while (!open) co_await sleep_for(1ms);
      --inside;
      ++passed;
    };
  }
};

inline std::string key_of(const std::string& name, const std::string& part) {
  return "app:j:{app:" + name + "}:" + part;
}

}  // namespace pronghorn::test
