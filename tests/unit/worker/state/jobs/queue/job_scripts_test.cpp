// The scripts of jobs one by one, as two workers call them whose replies may be lost.
#include "worker/state/jobs/queue/job_scripts.h"

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "unit/worker/state/jobs/job_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

struct Queue {
  using Words = std::vector<std::string>;

  Reply run(const Script& script, Words args) {
    const worker::QueueKeys keys("app", "email");
    return worker.run(worker.redis().script(script, {keys.all().begin(), keys.all().end()}, std::move(args)));
  }
  // Takes up to `want` jobs, and settles some: id, attempt, outcome, text and delay of each.
  Reply turn(const std::string& owner, unsigned want, const Words& settled = {}) {
    Words args{owner, "7", "60000", std::to_string(want), "1000000", keep, most, keep_failed};
    args.insert(args.end(), settled.begin(), settled.end());
    return run(worker::turn_script(), std::move(args));
  }
  // Whether it was the owner's to settle.
  bool settle(const std::string& owner, const std::string& id, unsigned attempt, const std::string& outcome) {
    return turn(owner, 0, {id, std::to_string(attempt), outcome, "", "0"}).array().at(0).array().at(0).integer() == 1;
  }
  std::string take(const std::string& owner = "a") {
    const Reply taken = turn(owner, 1);
    return taken.array().at(1).array().at(0).array().at(0).string();
  }
  // The worker has ended, and the job has killed it.
  void kill(const std::string& owner, const std::string& id) {
    run(worker::take_over_script(), {owner, id, "10", "100000", "signal 11", "crash-1.json", "1", "", ""});
  }
  std::string size(const std::string& command, const std::string& part) {
    return redis.command({command, key_of("email", part)});
  }

  const RedisProcess redis;
  JobWorker worker{redis, "w"};
  std::string keep = "60000", most = "1000", keep_failed = "60000";
};

}  // namespace

TEST_CASE("a job that is settled twice, because a reply was lost, counts once", "[jobs]") {
  Queue queue;
  const std::string id = queue.worker.enqueue("email", "payload");
  CHECK(queue.take() == id);
  CHECK(queue.settle("a", id, 1, "done"));
  CHECK(queue.settle("a", id, 1, "done"));
  CHECK_FALSE(queue.settle("b", id, 1, "done"));
  CHECK_FALSE(queue.settle("a", id, 2, "done"));
  CHECK(queue.worker.counts().done == 1);
  CHECK(queue.size("HLEN", "data") == "0");  // nobody needs its payload any more
}

TEST_CASE("a unique text is free when its job has failed, and an old job does not free that of a new one", "[jobs]") {
  Queue queue;
  const auto enqueue = [&queue] { return queue.worker.enqueue("email", "payload", {.unique = "u"}); };
  const std::string first = enqueue();
  CHECK(enqueue() == first);
  CHECK(queue.take() == first);
  CHECK(queue.settle("a", first, 1, "failed"));
  const std::string second = enqueue();
  CHECK(second != first);
  CHECK(queue.take() == second);
  CHECK(queue.settle("a", second, 1, "done"));
  const std::string third = enqueue();
  CHECK(third != second);
  CHECK(queue.worker.run(queue.worker.jobs().drop(second)));
  CHECK(queue.worker.run(queue.worker.jobs().drop(first)));
  CHECK(enqueue() == third);
}

TEST_CASE("jobs that failed are forgotten after keep_failed, and of those that are done the latest are kept",
          "[jobs]") {
  Queue queue;
  queue.keep_failed = "1";
  const std::string failed = queue.worker.enqueue("email", "payload");
  CHECK(queue.take() == failed);
  CHECK(queue.settle("a", failed, 1, "failed"));
  CHECK(queue.worker.wait([&] {
    (void)queue.turn("a", 0);
    return queue.size("HLEN", "jobs") == "0";
  }));
  CHECK(queue.size("ZCARD", "failed") == "0");
  CHECK(queue.size("HLEN", "data") == "0");

  queue.most = "2";
  std::string last;
  for (int i = 0; i < 5; ++i) {
    last = queue.worker.enqueue("email", "payload");
    CHECK(queue.take() == last);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // jobs that end in one millisecond have no order
    CHECK(queue.settle("a", last, 1, "done"));
  }
  CHECK(queue.size("ZCARD", "done") == "2");
  CHECK(queue.size("HLEN", "jobs") == "2");
  CHECK(queue.worker.state_of(last) == JobState::done);
}

TEST_CASE("the last sixteen processes that started a job are known", "[jobs]") {
  Queue queue;
  const std::string id = queue.worker.enqueue("email", "payload");
  for (unsigned attempt = 1; attempt <= 20; ++attempt) {
    CHECK(queue.take() == id);
    CHECK(queue.settle("a", id, attempt, "back"));
  }
  CHECK(queue.worker.find(id).attempts == 20);
  CHECK(queue.worker.find(id).pids.size() == 16);
}

TEST_CASE("a job that was retried may kill a worker once more before it is dead", "[jobs]") {
  Queue queue;
  const std::string id = queue.worker.enqueue("email", "payload");
  for (int kill = 0; kill < 2; ++kill) {
    CHECK(queue.take() == id);
    queue.kill("a", id);
  }
  CHECK(queue.worker.state_of(id) == JobState::dead);
  CHECK(queue.worker.run(queue.worker.jobs().retry(id)));
  CHECK(queue.take() == id);
  queue.kill("a", id);
  CHECK(queue.worker.state_of(id) == JobState::waiting);
  CHECK(queue.worker.find(id).kills == 1);
}

TEST_CASE("only the attempt that holds a job tells its progress", "[jobs]") {
  Queue queue;
  const std::string id = queue.worker.enqueue("email", "payload");
  CHECK(queue.take() == id);
  const auto progress = [&](const std::string& owner, const std::string& attempt) {
    return queue.run(worker::progress_script(), {id, attempt, owner, "0.5"}).integer();
  };
  CHECK(progress("b", "1") == 0);
  CHECK(progress("a", "2") == 0);
  CHECK(queue.worker.find(id).progress == 0);
  CHECK(progress("a", "1") == 1);
  CHECK(queue.worker.find(id).progress == 0.5);
}
