// Workers that end while they run jobs. A worker whose loop is not turned is like one that was stopped.
#include "unit/worker/state/jobs/job_worker.h"
#include "worker/state/jobs/queue/job_scripts.h"

using namespace pronghorn;
using namespace pronghorn::test;
using worker::JobService;

namespace {

// A worker that has taken a job and is stopped.
struct Stopped {
  explicit Stopped(const RedisProcess& redis, std::string owner = "stopped") : worker(redis, std::move(owner)) {
    worker.job("email", gate.handler());
    id = worker.enqueue("email", "payload");
    worker.take_jobs();
    REQUIRE(worker.wait([this] { return gate.inside == 1; }));
  }
  Gate gate;
  JobWorker worker;
  std::string id;
};

JobService::Ended end_of(const std::string& owner, const std::string& blamed = "") {
  return {.owner = owner, .blamed = blamed, .report = "crash-1.json", .reason = "signal 11", .unexpected = true};
}

// As a worker does that does not run such jobs itself.
void give_back(JobWorker& worker, const std::string& owner, const std::string& blamed = "") {
  const worker::QueueKeys keys("app", "email");
  const std::vector<std::string> args{owner, blamed, "10", "100000", "signal 11", "crash-1.json", "1", "", ""};
  worker.run(worker.redis().script(worker::take_over_script(), {keys.all().begin(), keys.all().end()}, args));
}

}  // namespace

TEST_CASE("the jobs of a worker that ended are run by another, and it can acknowledge them no more", "[jobs]") {
  const RedisProcess redis;
  Stopped stopped(redis);
  JobWorker other(redis, "other");
  std::vector<std::string> seen;
  other.job("email", [&seen](Job& job) {
    seen.push_back(job.payload());
    CHECK(job.attempt() == 2);
    return "by the other";
  });
  other.take_jobs();
  other.state->jobs.worker_ended(end_of("stopped"));
  CHECK(other.wait_state(stopped.id, JobState::done));
  CHECK(seen == std::vector<std::string>{"payload"});

  stopped.gate.open = true;  // it goes on, and is too late
  CHECK(stopped.worker.wait([&] { return stopped.worker.count(Count::jobs_fenced) == 1; }));
  const JobStatus status = other.find(stopped.id);
  CHECK(status.state == JobState::done);
  CHECK(status.result == "by the other");
  CHECK(other.counts().done == 1);
  CHECK(stopped.worker.count(Count::jobs_done) == 0);
}

// With job workers, the others do not run jobs. All job workers may be dead at the same time.
TEST_CASE("a worker that runs no jobs gives those of one that ended back", "[jobs]") {
  const RedisProcess redis;
  Stopped stopped(redis);
  JobWorker other(redis, "other");
  other.state->jobs.worker_ended(end_of("stopped", stopped.id));
  CHECK(other.wait_state(stopped.id, JobState::waiting));
  CHECK(other.find(stopped.id).kills == 1);
}

TEST_CASE("a worker that goes on while another runs its job cannot end it", "[jobs]") {
  const RedisProcess redis;
  Stopped stopped(redis);
  JobWorker other(redis, "other");
  Gate gate;
  other.job("email", gate.handler()).take_jobs();
  other.state->jobs.worker_ended(end_of("stopped"));
  CHECK(other.wait([&] { return gate.inside == 1; }));
  stopped.gate.open = true;
  CHECK(stopped.worker.wait([&] { return stopped.worker.count(Count::jobs_fenced) == 1; }));
  CHECK(other.state_of(stopped.id) == JobState::running);
  CHECK(other.counts().done == 0);
  gate.open = true;
  CHECK(other.wait_state(stopped.id, JobState::done));
  CHECK(other.counts().done == 1);
}

TEST_CASE("a worker that takes its own job again cannot end it with the earlier attempt", "[jobs]") {
  const RedisProcess redis;
  Stopped stopped(redis);
  JobWorker other(redis, "other");
  give_back(other, "stopped");
  CHECK(other.state_of(stopped.id) == JobState::waiting);
  CHECK(stopped.worker.wait([&] { return stopped.gate.inside == 2; }));
  CHECK(other.find(stopped.id).attempts == 2);
  stopped.gate.open = true;
  CHECK(stopped.worker.wait_state(stopped.id, JobState::done));
  CHECK(stopped.worker.wait([&] { return stopped.gate.passed == 2; }));
  CHECK(other.counts().done == 1);
}

TEST_CASE("a job that has killed two workers is dead, with the reason and the crash report", "[jobs]") {
  const RedisProcess redis;
  JobWorker survivor(redis, "survivor");
  std::string killer;
  for (const char* owner : {"first", "second"}) {
    JobWorker victim(redis, owner);
    Gate gate;
    victim.job("email", gate.handler());
    if (killer.empty()) killer = victim.enqueue("email", "kills");
    victim.take_jobs();
    REQUIRE(victim.wait([&] { return gate.inside == 1; }));
    if (owner == std::string("second")) survivor.job("email", [](Job&) {}).take_jobs();
    if (owner == std::string("first")) {
      give_back(survivor, owner, killer);
    } else {
      survivor.state->jobs.worker_ended(end_of(owner, killer));
      REQUIRE(survivor.wait([&] { return survivor.state_of(killer) != JobState::running; }));
    }
  }
  const JobStatus status = survivor.find(killer);
  CHECK(status.state == JobState::dead);
  CHECK(status.attempts == 2);
  CHECK(status.kills == 2);
  CHECK(status.reason == "it killed 2 workers: signal 11");
  CHECK(status.crash_report == "crash-1.json");
  CHECK(survivor.counts().dead == 1);
  CHECK(survivor.count(Count::jobs_dead) == 1);
  CHECK(survivor.run(survivor.jobs().retry(killer)));
  CHECK(survivor.wait_state(killer, JobState::done));
  CHECK(survivor.counts().dead == 0);
}

TEST_CASE("jobs that only ran beside the one that killed the worker are not blamed", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w");
  std::string bystander;
  for (int death = 0; death < 3; ++death) {
    const std::string owner = "victim" + std::to_string(death);
    JobWorker victim(redis, owner);
    Gate gate;
    victim.job("email", gate.handler());
    if (bystander.empty()) bystander = victim.enqueue("email");
    victim.take_jobs();
    REQUIRE(victim.wait([&] { return gate.inside == 1; }));
    victim.state->jobs.close();
    if (death == 0) worker.job("email", [](Job&) {}, {.concurrency = 1});
    give_back(worker, owner, "email.00000000000000000000000000000000");
  }
  CHECK(worker.state_of(bystander) == JobState::waiting);
  CHECK(worker.find(bystander).kills == 0);
  worker.take_jobs();
  CHECK(worker.wait_state(bystander, JobState::done));
}

TEST_CASE("a job whose workers end again and again is dead in the end, whoever is to blame", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w");
  const std::string id = worker.enqueue("email");
  const worker::QueueKeys keys("app", "email");
  const std::vector<std::string> all(keys.all().begin(), keys.all().end());
  for (unsigned death = 1; death <= worker::kInterruptionsAllowed; ++death) {
    REQUIRE(worker.state_of(id) == JobState::waiting);
    worker.run(worker.redis().script(worker::turn_script(), all,
                                     {"victim", "7", "1000", "1", "1000", "1000", "10", "1000", "0"}));
    REQUIRE(worker.state_of(id) == JobState::running);
    worker.run(worker.redis().script(worker::take_over_script(), all,
                                     {"victim", "", "10", "100000", "signal 9", "", "1", "", ""}));
  }
  CHECK(worker.state_of(id) == JobState::dead);
  CHECK(worker.find(id).reason == "its worker ended 10 times while it ran: signal 9");
}

TEST_CASE("when the lease of a machine has ended, its jobs go back", "[jobs]") {
  const RedisProcess redis;
  Stopped stopped(redis, "machine:1:2");
  redis.command({"ZADD", key_of("email", "owners"), "1", "machine:1:2"});
  JobWorker other(redis, "other");
  other.job("email", [](Job&) {}).take_jobs();
  CHECK(other.wait_state(stopped.id, JobState::done));
  CHECK(other.find(stopped.id).attempts == 2);
}

// Whoever was connected first took the jobs of the others, which ran on.
TEST_CASE("a worker keeps its jobs although Redis was away for longer than the lease", "[jobs]") {
  const RedisProcess redis;
  Gate gate;
  JobWorker worker(redis, "machine:1:2");
  worker.job("email", gate.handler());
  const std::string id = worker.enqueue("email");
  worker.take_jobs();
  CHECK(worker.wait([&] { return gate.inside == 1; }));
  redis.command({"ZADD", key_of("email", "owners"), "1", "machine:1:2"});
  redis.command({"HSET", key_of("email", "totals"), "synced", "1"});
  JobWorker other(redis, "other");
  other.job("email", [](Job&) {}).take_jobs();
  CHECK(other.wait([&redis] { return redis.command({"HGET", key_of("email", "totals"), "synced"}) != "1"; }));
  CHECK(other.find(id).attempts == 1);
  gate.open = true;
  CHECK(worker.wait_state(id, JobState::done));
  CHECK(worker.count(Count::jobs_fenced) == 0);
}

TEST_CASE("a worker that lives keeps its jobs", "[jobs]") {
  const RedisProcess redis;
  Stopped stopped(redis);
  JobWorker other(redis, "other");
  int runs = 0;
  other.job("email", [&runs](Job&) { ++runs; }).take_jobs();
  const std::string mine = other.enqueue("email");
  CHECK(other.wait_state(mine, JobState::done));
  CHECK(other.state_of(stopped.id) == JobState::running);
  CHECK(runs == 1);
}

TEST_CASE("a job that was given to a worker which did not learn of it goes back", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w");
  const std::string id = worker.enqueue("email");
  const worker::QueueKeys keys("app", "email");
  worker.run(worker.redis().script(worker::turn_script(), {keys.all().begin(), keys.all().end()},
                                   {"w", "7", "60000", "1", "1000", "1000", "10", "1000", "0"}));
  REQUIRE(worker.state_of(id) == JobState::running);
  worker.job("email", [](Job&) {}).take_jobs();
  CHECK(worker.wait_state(id, JobState::done));
  CHECK(worker.find(id).attempts == 2);
}

TEST_CASE("a worker that drains takes no more jobs, and what is cut goes back at once", "[jobs]") {
  const RedisProcess redis;
  Gate gate;
  JobWorker draining(redis, "draining");
  draining.job("email", gate.handler(), {.concurrency = 1});
  const std::string running = draining.enqueue("email");
  const std::string waiting = draining.enqueue("email");
  draining.take_jobs();
  CHECK(draining.wait([&] { return gate.inside == 1; }));
  draining.state->jobs.stop_taking();
  worker::Runtime::current().destroy_background_tasks();  // drain_timeout has expired
  draining.run(draining.state->jobs.settle_all());
  CHECK(draining.state_of(running) == JobState::waiting);
  CHECK(draining.state_of(waiting) == JobState::waiting);
  CHECK(draining.counts().running == 0);
  CHECK(draining.count(Count::jobs_given_back) == 1);
  JobWorker next(redis, "next");
  std::vector<std::string> order;
  next.job("email", [&order](Job& job) { order.push_back(job.id()); }, {.concurrency = 1}).take_jobs();
  CHECK(next.wait([&] { return order.size() == 2; }));
  CHECK(order == std::vector<std::string>{running, waiting});
}

TEST_CASE("a job that ends while its worker drains is done", "[jobs]") {
  const RedisProcess redis;
  Gate gate;
  JobWorker draining(redis, "draining");
  draining.job("email", gate.handler(), {.concurrency = 1});
  const std::string running = draining.enqueue("email");
  const std::string waiting = draining.enqueue("email");
  draining.take_jobs();
  CHECK(draining.wait([&] { return gate.inside == 1; }));
  draining.state->jobs.stop_taking();
  gate.open = true;
  CHECK(draining.wait([&] { return gate.passed == 1; }));
  draining.run(draining.state->jobs.settle_all());
  CHECK(draining.state_of(running) == JobState::done);
  CHECK(draining.state_of(waiting) == JobState::waiting);
}
