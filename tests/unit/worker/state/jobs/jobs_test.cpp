#include "unit/worker/state/jobs/job_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

const std::chrono::milliseconds kNoDelay{1};

}  // namespace

TEST_CASE("a job runs once, with its payload, and its result can be looked up", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w1");
  std::vector<std::string> payloads;
  worker.job("email", [&payloads](Job& job, Worker& its) -> Task<std::string> {
    payloads.push_back(job.payload());
    CHECK(job.name() == "email");
    CHECK(job.attempt() == 1);
    CHECK(job.failures() == 0);
    CHECK_FALSE(job.last_attempt());
    CHECK(its.slot() == 3);
    co_return "sent " + job.id();
  });
  worker.take_jobs();
  std::string every_byte(256, '\0');
  for (std::size_t i = 0; i < every_byte.size(); ++i) every_byte[i] = static_cast<char>(i);
  const std::string id = worker.enqueue("email", every_byte);
  CHECK(id.starts_with("email."));
  CHECK(worker.wait_state(id, JobState::done));
  CHECK(payloads == std::vector<std::string>{every_byte});
  const JobStatus status = worker.find(id);
  CHECK(status.attempts == 1);
  CHECK(status.pids == std::vector<int>{::getpid()});
  CHECK(status.progress == 1);
  CHECK(status.result == "sent " + id);
  CHECK(std::chrono::abs(std::chrono::system_clock::now() - status.enqueued) < 1h);
  const JobCounts counts = worker.counts();
  CHECK(counts.done == 1);
  CHECK(counts.waiting + counts.running + counts.failed + counts.dead == 0);
  CHECK(worker.count(Count::jobs_done) == 1);
  CHECK(worker.count(Count::jobs_running) == 0);
}

TEST_CASE("handlers of all forms run", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w1");
  int calls = 0;
  worker.job("plain", [&calls](Job&) { ++calls; });
  worker.job("text", [](Job&) { return "text"; });
  worker.job("waits", [&calls](Job&, Worker&) -> Task<void> {
    co_await sleep_for(1ms);
    ++calls;
  });
  worker.take_jobs();
  const std::string text = worker.enqueue("text");
  worker.enqueue("plain");
  worker.enqueue("waits");
  CHECK(worker.wait([&] { return calls == 2; }));
  CHECK(worker.wait_state(text, JobState::done));
  CHECK(worker.find(text).result == "text");
}

TEST_CASE("a payload of 1 MiB is carried, a larger one refused", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w1");
  std::size_t size = 0;
  worker.job("big", [&size](Job& job) { size = job.payload().size(); }).take_jobs();
  std::string payload(Jobs::kMaxPayload, '\xff');
  worker.enqueue("big", payload);
  CHECK(worker.wait([&] { return size == Jobs::kMaxPayload; }));
  payload += 'x';
  CHECK_THROWS_AS(worker.jobs().enqueue("big", payload), std::invalid_argument);
}

TEST_CASE("what enqueue() cannot keep is refused", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w1");
  for (const std::string& name : {std::string(), std::string("a b"), std::string("a.b"), std::string("{a}"),
                                  std::string(65, 'a'), std::string("a\0b", 3)}) {
    INFO(name);
    CHECK_THROWS_AS(worker.jobs().enqueue(name, ""), std::invalid_argument);
  }
  CHECK_THROWS_AS(worker.jobs().enqueue("a", "", {.delay = -1ms}), std::invalid_argument);
  CHECK_THROWS_AS(worker.jobs().enqueue("a", "", {.delay = 367 * 24h}), std::invalid_argument);
  CHECK_THROWS_AS(worker.jobs().enqueue("a", "", {.priority = 101}), std::invalid_argument);
  const std::string unique(257, 'x');
  CHECK_THROWS_AS(worker.jobs().enqueue("a", "", {.unique = unique}), std::invalid_argument);
  for (const char* id : {"", "email", "email.", "email.x", "..", "email.0123456789abcdef0123456789abcdeg",
                         "em ail.0123456789abcdef0123456789abcdef", "email.0123456789abcdef0123456789abcdef"}) {
    CHECK_FALSE(worker.run(worker.jobs().find(id)));
    CHECK_FALSE(worker.run(worker.jobs().drop(id)));
  }
}

TEST_CASE("a job that throws is tried again, later each time, until its attempts are used up", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w1");
  std::vector<Clock::time_point> starts;
  worker.job("email",
             [&starts](Job& job) {
               starts.push_back(Clock::now());
               CHECK(job.failures() + 1 == (starts.size() == 4 ? 1 : starts.size()));
               CHECK(job.last_attempt() == (starts.size() == 3));
               throw std::runtime_error("no such address");
             },
             {.attempts = 3, .backoff = 20ms});
  worker.take_jobs();
  const std::string id = worker.enqueue("email");
  CHECK(worker.wait_state(id, JobState::failed));
  REQUIRE(starts.size() == 3);
  CHECK(starts[1] - starts[0] >= 15ms);  // 20 ms less a quarter
  CHECK(starts[2] - starts[1] >= 30ms);
  const JobStatus status = worker.find(id);
  CHECK(status.attempts == 3);
  CHECK(status.failures == 3);
  CHECK(status.reason == "std::runtime_error: no such address");
  CHECK_FALSE(status.result);
  CHECK(worker.counts().failed == 1);
  CHECK(worker.count(Count::jobs_retried) == 2);
  CHECK(worker.count(Count::jobs_failed) == 1);

  CHECK(worker.run(worker.jobs().retry(id)));  // with all its attempts
  CHECK(worker.wait([&] { return starts.size() == 4; }));
  CHECK(worker.counts().failed == 0);
}

TEST_CASE("a job that succeeds after failures is done", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w1");
  worker.job("email",
             [](Job& job) {
               if (job.failures() < 2) throw std::runtime_error("not yet");
             },
             {.attempts = 5, .backoff = kNoDelay});
  worker.take_jobs();
  const std::string id = worker.enqueue("email");
  CHECK(worker.wait_state(id, JobState::done));
  CHECK(worker.find(id).attempts == 3);
  CHECK_FALSE(worker.run(worker.jobs().retry(id)));
}

TEST_CASE("an attempt that takes longer than its timeout has failed", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w1");
  worker.job("email", [](Job&) -> Task<void> { co_await sleep_for(1h); }, {.attempts = 1, .timeout = 5ms});
  worker.take_jobs();
  const std::string id = worker.enqueue("email");
  CHECK(worker.wait_state(id, JobState::failed));
  CHECK(worker.find(id).reason == "pronghorn::DeadlineExceeded: deadline exceeded");
}

TEST_CASE("a delayed job does not run before its time", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w1");
  std::vector<std::string> order;
  worker.job("email", [&order](Job& job) { order.push_back(job.payload()); }).take_jobs();
  const auto begin = Clock::now();
  worker.enqueue("email", "later", {.delay = 150ms});
  const std::string never = worker.enqueue("email", "never", {.delay = 24h});
  worker.enqueue("email", "now");
  CHECK(worker.wait([&] { return order.size() == 2; }));
  CHECK(Clock::now() - begin >= 150ms);
  CHECK(order == std::vector<std::string>{"now", "later"});
  CHECK(worker.state_of(never) == JobState::waiting);
  CHECK(worker.find(never).due > std::chrono::system_clock::now() + 23h);
  CHECK(worker.counts().waiting == 1);
}

TEST_CASE("jobs of a higher priority run first, those of the same in their order", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w1");
  std::string order;
  worker.job("email", [&order](Job& job) { order += job.payload(); }, {.concurrency = 1});
  worker.enqueue("email", "d", {.priority = -100});
  worker.enqueue("email", "b");
  worker.enqueue("email", "c");
  worker.enqueue("email", "a", {.priority = 100});
  worker.take_jobs();
  CHECK(worker.wait([&] { return order.size() == 4; }));
  CHECK(order == "abcd");
}

TEST_CASE("a unique job is enqueued once until it has ended", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w1");
  int runs = 0;
  worker.job("email", [&runs](Job&) { ++runs; });
  const std::string id = worker.enqueue("email", "first", {.unique = "welcome:7"});
  CHECK(worker.enqueue("email", "second", {.unique = "welcome:7"}) == id);
  CHECK(worker.enqueue("email", "other", {.unique = "welcome:8"}) != id);
  CHECK(worker.counts().waiting == 2);
  worker.take_jobs();
  CHECK(worker.wait_state(id, JobState::done));
  const std::string again = worker.enqueue("email", "third", {.unique = "welcome:7"});
  CHECK(again != id);
  CHECK(worker.wait_state(again, JobState::done));
  CHECK(runs == 3);
}

TEST_CASE("a job that is retried is unique again, unless another has taken its text meanwhile", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w1");
  JobWorker without(redis, "w2");  // runs none
  const std::string retried = worker.enqueue("email", "", {.unique = "welcome:7"});
  const std::string other = worker.enqueue("email", "", {.unique = "welcome:8"});
  worker.job("email", [](Job&) { throw std::runtime_error("no"); }, {.attempts = 1}).take_jobs();
  CHECK(worker.wait_state(retried, JobState::failed));
  CHECK(worker.wait_state(other, JobState::failed));
  worker.state->jobs.stop_taking();
  const std::string later = without.enqueue("email", "", {.unique = "welcome:8"});
  CHECK(later != other);
  CHECK(without.run(without.jobs().retry(retried)));
  CHECK(without.run(without.jobs().retry(other)));
  CHECK(without.enqueue("email", "", {.unique = "welcome:7"}) == retried);
  CHECK(without.enqueue("email", "", {.unique = "welcome:8"}) == later);
  CHECK(without.run(without.jobs().drop(other)));  // which does not free the text of the later one
  CHECK(without.enqueue("email", "", {.unique = "welcome:8"}) == later);
}

TEST_CASE("a worker runs as many jobs of a name at once as its concurrency says", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w1");
  Gate gate;
  worker.job("email", gate.handler(), {.concurrency = 3});
  for (int i = 0; i < 10; ++i) worker.enqueue("email");
  worker.take_jobs();
  CHECK(worker.wait([&] { return gate.inside == 3; }));
  CHECK(worker.counts().running == 3);
  CHECK(worker.count(Count::jobs_running) == 3);
  gate.open = true;
  CHECK(worker.wait([&] { return gate.passed == 10; }));
  CHECK(gate.most_inside == 3);
  CHECK(worker.wait([&] { return worker.counts().done == 10; }));
}

TEST_CASE("progress can be looked up while a job runs", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w1");
  bool go_on = false;
  worker.job("email", [&go_on](Job& job) -> Task<void> {
    co_await job.progress(0.25);
    while (!go_on) co_await sleep_for(1ms);
  });
  worker.take_jobs();
  const std::string id = worker.enqueue("email");
  CHECK(worker.wait([&] { return worker.find(id).progress == 0.25; }));
  CHECK(worker.state_of(id) == JobState::running);
  CHECK_FALSE(worker.run(worker.jobs().drop(id)));  // it runs
  go_on = true;
  CHECK(worker.wait_state(id, JobState::done));
}

TEST_CASE("a job that waits can be dropped, and frees what made it unique", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w1");
  const std::string id = worker.enqueue("email", "x", {.delay = 1h, .unique = "u"});
  CHECK(worker.run(worker.jobs().drop(id)));
  CHECK_FALSE(worker.run(worker.jobs().find(id)));
  CHECK_FALSE(worker.run(worker.jobs().drop(id)));
  CHECK(worker.enqueue("email", "x", {.delay = 1h, .unique = "u"}) != id);
  CHECK(worker.counts().waiting == 1);
}

TEST_CASE("what is done is forgotten after `keep`", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w1");
  worker.job("kept", [](Job&) { return "r"; }, {.keep = 30ms});
  worker.job("not_kept", [](Job&) { return "r"; }, {.keep = 0ms});
  worker.take_jobs();
  const std::string id = worker.enqueue("not_kept");
  worker.enqueue("kept");
  CHECK(worker.wait([&] { return worker.counts().done == 2; }));
  CHECK_FALSE(worker.run(worker.jobs().find(id)));
  CHECK(worker.wait([&] {
    return redis.command({"HLEN", key_of("kept", "jobs")}) == "0" &&
           redis.command({"HLEN", key_of("kept", "results")}) == "0";
  }));
  CHECK(worker.counts().done == 2);
}

TEST_CASE("jobs of a name that no worker knows wait", "[jobs]") {
  const RedisProcess redis;
  JobWorker old_version(redis, "w1");
  const std::string id = old_version.enqueue("new_job");
  old_version.job("email", [](Job&) {}).take_jobs();
  const std::string email = old_version.enqueue("email");
  CHECK(old_version.wait_state(email, JobState::done));
  CHECK(old_version.state_of(id) == JobState::waiting);
  JobWorker new_version(redis, "w2");
  new_version.job("new_job", [](Job&) {}).take_jobs();
  CHECK(new_version.wait_state(id, JobState::done));
}

TEST_CASE("a worker with room takes a job that another has enqueued, without waiting for its next look", "[jobs]") {
  const RedisProcess redis;
  JobWorker taker(redis, "taker");
  int runs = 0;
  taker.job("email", [&runs](Job&) { ++runs; }).take_jobs();
  REQUIRE(taker.wait([&] { return redis.command({"PUBSUB", "NUMSUB", "app:j:waiting"}).ends_with("1"); }));
  JobWorker other(redis, "other");
  // 50 in a row, each enqueued when the one before was done: looks once a second would take most of a minute.
  for (int i = 0; i < 50; ++i) {
    other.enqueue("email");
    REQUIRE(taker.wait([&] { return runs == i + 1; }));
  }
}

TEST_CASE("a job that another has delayed runs when it is due, not at the next look", "[jobs]") {
  const RedisProcess redis;
  JobWorker taker(redis, "taker");
  int runs = 0;
  taker.job("email", [&runs](Job&) { ++runs; }).take_jobs();
  REQUIRE(taker.wait([&] { return redis.command({"PUBSUB", "NUMSUB", "app:j:waiting"}).ends_with("1"); }));
  JobWorker other(redis, "other");
  for (int i = 0; i < 30; ++i) {
    other.enqueue("email", "", {.delay = 5ms});
    REQUIRE(taker.wait([&] { return runs == i + 1; }));
  }
}
