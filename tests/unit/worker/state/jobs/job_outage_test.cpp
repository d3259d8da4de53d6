// Jobs while Redis is down, slow, full, or holds something else than it should.
#include "unit/worker/state/jobs/job_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;

TEST_CASE("without Redis nothing is enqueued", "[jobs]") {
  RedisProcess redis;
  JobWorker worker(redis, "w");
  redis.kill();
  CHECK(worker.wait([&worker] { return !worker.state->redis_up(); }));
  CHECK_THROWS_AS(worker.enqueue("email"), RedisUnavailable);
  CHECK_THROWS_AS(worker.counts(), RedisUnavailable);
}

TEST_CASE("a job that ends while Redis does not answer is done when it does", "[jobs]") {
  const RedisProcess redis;
  Gate gate;
  JobWorker worker(config_for(redis.url(), 100ms), "w");
  worker.job("email", gate.handler());
  const std::string id = worker.enqueue("email");
  worker.take_jobs();
  CHECK(worker.wait([&] { return gate.inside == 1; }));
  ::kill(redis.pid(), SIGSTOP);
  gate.open = true;
  CHECK(worker.wait([&] { return gate.passed == 1; }));
  CHECK(worker.wait([&] { return worker.count(Count::redis_errors) > 0; }));
  ::kill(redis.pid(), SIGCONT);
  CHECK(worker.wait([&] { return worker.count(Count::jobs_done) == 1; }));
  CHECK(worker.wait([&worker] { return worker.state->redis_up(); }));
  CHECK(worker.state_of(id) == JobState::done);
  CHECK(worker.count(Count::jobs_fenced) == 0);
  CHECK(gate.passed == 1);
}

TEST_CASE("a full Redis takes no more jobs, and can be emptied", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w");
  int runs = 0;
  worker.job("email", [&runs](Job&) { ++runs; }, {.backoff = 1ms, .concurrency = 2});
  const std::string payload(10'000, 'x');
  for (int i = 0; i < 20; ++i) worker.enqueue("email", payload);
  redis.command({"CONFIG", "SET", "maxmemory-policy", "noeviction"});
  redis.command({"CONFIG", "SET", "maxmemory", "1"});
  CHECK_THROWS_AS(worker.enqueue("email", payload), RedisUnavailable);
  worker.take_jobs();
  CHECK(worker.wait([&] { return worker.count(Count::jobs_done) == 20; }));
  CHECK(runs == 20);
}

TEST_CASE("data of another type stops the jobs of that name only, until it is gone", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w");
  worker.job("email", [](Job&) {}).job("other", [](Job&) {});
  redis.command({"SET", key_of("email", "wait"), "text"});
  worker.take_jobs();
  CHECK_THROWS_AS(worker.enqueue("email"), RedisError);
  const std::string other = worker.enqueue("other");
  CHECK(worker.wait_state(other, JobState::done));
  redis.command({"DEL", key_of("email", "wait")});
  const std::string id = worker.enqueue("email");
  CHECK(worker.wait_state(id, JobState::done));
}

TEST_CASE("whichever key holds data of another type, no job is lost for it", "[jobs]") {
  const RedisProcess redis;
  for (const char* part : {"later", "run", "owners", "results", "done", "failed", "dead", "unique"}) {
    INFO(part);
    JobWorker worker(redis, "w");
    int runs = 0;
    worker.job("email", [&runs](Job&) { ++runs; });
    const std::string id = worker.enqueue("email", "payload");
    redis.command({"SET", key_of("email", part), "text"});
    const auto errors = worker.count(Count::redis_commands);
    worker.take_jobs();
    CHECK(worker.wait([&] { return worker.count(Count::redis_commands) > errors + 2; }));
    worker.turn(20ms);
    CHECK(runs == 0);
    redis.command({"DEL", key_of("email", part)});
    CHECK(worker.wait_state(id, JobState::done));
    CHECK(runs == 1);
    redis.command({"FLUSHALL"});
  }
}

// What was written before the key of another type stayed for ever: it does not expire, and no job names it.
TEST_CASE("a job that is refused for data of another type leaves nothing behind", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w");
  for (const char* part : {"wait", "later", "jobs", "data", "unique", "totals"}) {
    for (const EnqueueOptions& options : {EnqueueOptions{}, {.delay = 1h}, {.unique = "u"}}) {
      redis.command({"FLUSHALL"});
      redis.command({"SET", key_of("email", part), "text"});
      bool refused = false;
      try {
        worker.enqueue("email", "payload", options);
      } catch (const RedisError&) {
        refused = true;
      }
      const std::string left = redis.command({"KEYS", key_of("email", "*")});
      INFO(part << " " << options.delay.count() << " " << options.unique << ": " << left);
      CHECK((!refused || left.find('\n') == std::string::npos));
    }
  }
}

TEST_CASE("a job that cannot be settled for data of another type is done when that is gone", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w");
  Gate gate;
  worker.job("email", gate.handler());
  const std::string id = worker.enqueue("email");
  worker.take_jobs();
  CHECK(worker.wait([&] { return gate.inside == 1; }));
  redis.command({"SET", key_of("email", "done"), "text"});
  gate.open = true;
  CHECK(worker.wait([&] { return gate.passed == 1; }));
  worker.turn(20ms);
  CHECK(worker.state_of(id) == JobState::running);
  redis.command({"DEL", key_of("email", "done")});
  CHECK(worker.wait_state(id, JobState::done));
  CHECK(gate.passed == 1);
  CHECK(worker.count(Count::jobs_fenced) == 0);
}

TEST_CASE("a record that cannot be read is that of a new job", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w");
  for (const std::string& record :
       {std::string("garbage"), std::string("\xc1\x00\xff", 3), std::string(), std::string("\x81\xa5score\xa1x"),
        std::string("="), std::string("+"), std::string("=1 x")}) {
    const std::string id = worker.enqueue("email", "payload");
    redis.command({"HSET", key_of("email", "jobs"), id, record});
    CHECK(worker.find(id).attempts == 0);
  }
  const std::string lost = worker.enqueue("email", "payload");
  redis.command({"HDEL", key_of("email", "jobs"), lost});
  std::vector<std::string> payloads;
  worker.job("email", [&payloads](Job& job) { payloads.push_back(job.payload()); }).take_jobs();
  CHECK(worker.wait([&] { return worker.count(Count::jobs_done) == 7; }));
  CHECK(payloads == std::vector<std::string>(7, "payload"));
  CHECK(worker.counts().waiting == 0);
}

TEST_CASE("a record of which a part cannot be right stops no queue", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w");
  const auto change = [&redis](const std::string& id, const std::string& part) {
    redis.command({"EVAL",
                   "redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack({score = 1, attempts = 0, failures = 0, "
                   "kills = 0, interruptions = 0, at = 1000, pids = {}, " +
                       part + "}))",
                   "1", key_of("email", "jobs"), id});
  };
  const std::vector<std::string> parts{"score = 0/0",     "attempts = 1/0",    "attempts = -5", "attempts = 0.5",
                                       "attempts = 2^40", "failures = 0/0",    "pids = {{}}",   "unique = {}",
                                       "unique = 7",      "reason = {}",       "state = {}",    "report = true",
                                       "settled = 5",     "settled = {{}, 7}", "size = {}",     "size = 0/0",
                                       "due = {}",        "progress = 'x'",    "progress = 1/0"};
  std::vector<std::string> ids;
  for (const std::string& part : parts) {
    CAPTURE(part);
    ids.push_back(worker.enqueue("email", "payload"));
    change(ids.back(), part);
    CHECK(worker.find(ids.back()).state == JobState::waiting);
  }
  worker.job("email", [](Job&) {}).take_jobs();
  CHECK(worker.wait([&] { return worker.count(Count::jobs_done) == parts.size(); }));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    CAPTURE(parts[i]);
    CHECK(worker.find(ids[i]).attempts == 1);
  }
  CHECK(worker.count(Count::jobs_fenced) == 0);
}

TEST_CASE("a count of jobs that is no number keeps them from being settled, and loses none", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w");
  const std::string id = worker.enqueue("email", "payload");
  redis.command({"HSET", key_of("email", "totals"), "done", "garbage"});
  int runs = 0;
  worker.job("email", [&runs](Job&) { ++runs; }).take_jobs();
  CHECK(worker.wait([&] { return runs == 1; }));
  CHECK(worker.wait([&] { return worker.count(Count::redis_errors) > 0; }));
  redis.command({"HDEL", key_of("email", "totals"), "done"});
  CHECK(worker.wait([&] { return worker.count(Count::jobs_done) == 1; }));
  CHECK(worker.state_of(id) == JobState::done);
}

TEST_CASE("a batch of done jobs that names none does not keep the others from being listed", "[jobs]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w");
  const std::string id = worker.enqueue("email", "payload");
  worker.job("email", [](Job&) {}).take_jobs();
  CHECK(worker.wait_state(id, JobState::done));
  redis.command({"ZADD", key_of("email", "done"), "99999999999999", " "});
  CHECK(worker.run(worker.state->jobs.ids("email", JobState::done, 10)) == std::vector<std::string>{id});
}
