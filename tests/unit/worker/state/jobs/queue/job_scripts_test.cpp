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
  // Takes up to `want` jobs, and settles some: ids of those that are done at their first attempt and without a result,
  // then id, attempt, outcome, text and delay of each other one.
  Reply turn(const std::string& owner, unsigned want, const Words& done = {}, const Words& others = {}) {
    Words args{owner, "7", "60000", std::to_string(want), room, keep, most, keep_failed, std::to_string(done.size())};
    args.insert(args.end(), done.begin(), done.end());
    args.insert(args.end(), others.begin(), others.end());
    return run(worker::turn_script(), std::move(args));
  }
  // Whether they were the owner's to settle.
  bool settle(const std::string& owner, const std::string& id, unsigned attempt, const std::string& outcome) {
    return is_settled(turn(owner, 0, {}, {id, std::to_string(attempt), outcome, "", "0"}));
  }
  bool done(const std::string& owner, const Words& ids) { return is_settled(turn(owner, 0, ids)); }
  static bool is_settled(const Reply& turn) {
    return turn.array().at(0).array().empty() && turn.array().at(6).array().empty();
  }
  std::string take(const std::string& owner = "a") { return take_many(1, owner).at(0); }
  Words take_many(unsigned most_jobs, const std::string& owner = "a") {
    Words ids;
    const Reply taken = turn(owner, most_jobs);
    for (const Reply& id : taken.array().at(1).array()) ids.push_back(id.string());
    return ids;
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
  std::string room = "1000000", keep = "60000", most = "1000", keep_failed = "60000";
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

TEST_CASE("an attempt whose reply was lost counts as settled although others have settled later ones", "[jobs]") {
  Queue queue;
  const std::string id = queue.worker.enqueue("email", "payload");
  CHECK(queue.take() == id);
  CHECK(queue.settle("a", id, 1, "back"));
  CHECK(queue.take("b") == id);
  CHECK(queue.settle("b", id, 2, "back"));
  CHECK(queue.take("b") == id);
  CHECK(queue.settle("a", id, 1, "back"));
  CHECK(queue.settle("b", id, 2, "back"));
  CHECK_FALSE(queue.settle("a", id, 2, "back"));
  CHECK(queue.worker.state_of(id) == JobState::running);
}

TEST_CASE("jobs that are done at their first attempt are settled together, but not those of another worker", "[jobs]") {
  Queue queue;
  for (int i = 0; i < 4; ++i) queue.worker.enqueue("email", "payload");
  const Queue::Words mine = queue.take_many(3);
  const std::string other = queue.take("b");
  const Queue::Words all{mine[0], other, mine[1], "email.unknown", mine[2]};
  const Reply reply = queue.turn("a", 0, all);
  const Reply::Array& lost = reply.array().at(0).array();
  REQUIRE(lost.size() == 1);
  CHECK(lost[0].integer() == 2);
  const Reply::Array& gone = reply.array().at(6).array();
  REQUIRE(gone.size() == 1);
  CHECK(gone[0].integer() == 4);
  CHECK(queue.done("a", mine));  // the reply was lost
  CHECK(queue.worker.counts().done == 3);
  CHECK(queue.worker.state_of(other) == JobState::running);
  for (const std::string& id : mine) {
    const JobStatus status = queue.worker.find(id);
    CHECK(status.state == JobState::done);
    CHECK(status.attempts == 1);
    CHECK(status.progress == 1);
    CHECK(status.pids == std::vector<int>{7});
    CHECK(std::chrono::abs(std::chrono::system_clock::now() - status.enqueued) < std::chrono::minutes(5));
  }
  CHECK(queue.size("HLEN", "data") == "1");
  CHECK(queue.size("HLEN", "run") == "1");
}

TEST_CASE("jobs that are done together are listed one by one, and forgotten together", "[jobs]") {
  Queue queue;
  for (int i = 0; i < 3; ++i) queue.worker.enqueue("email", "payload");
  const Queue::Words ids = queue.take_many(3);
  CHECK(queue.done("a", ids));
  const auto listed = [&queue](std::size_t most_ids) {
    return queue.worker.run(queue.worker.state->jobs.ids("email", JobState::done, most_ids));
  };
  CHECK(listed(10) == Queue::Words{ids[2], ids[1], ids[0]});
  CHECK(queue.worker.run(queue.worker.jobs().drop(ids[1])));
  CHECK_FALSE(queue.worker.run(queue.worker.jobs().drop(ids[1])));
  CHECK(listed(10) == Queue::Words{ids[2], ids[0]});
  CHECK(listed(1) == Queue::Words{ids[2]});
  queue.most = "1";
  (void)queue.turn("a", 0);
  CHECK(listed(10).empty());
  CHECK(queue.size("HLEN", "jobs") == "0");
  CHECK(queue.worker.counts().done == 3);
}

TEST_CASE("jobs start in their order, whatever their records look like", "[jobs]") {
  Queue queue;
  Queue::Words expected;
  expected.push_back(queue.worker.enqueue("email", "1"));
  expected.push_back(queue.worker.enqueue("email", "2", {.unique = "u"}));
  expected.push_back(queue.worker.enqueue("email", std::string(5'000, '3')));
  expected.push_back(queue.worker.enqueue("email", "4"));
  expected.insert(expected.begin(), queue.worker.enqueue("email", "0", {.priority = 1}));
  const Reply reply = queue.turn("a", 10);
  Queue::Words ids, payloads;
  for (const Reply& id : reply.array().at(1).array()) ids.push_back(id.string());
  for (const Reply& payload : reply.array().at(2).array()) payloads.push_back(payload.string());
  CHECK(ids == expected);
  CHECK(payloads == Queue::Words{"0", "1", "2", std::string(5'000, '3'), "4"});
  CHECK(queue.done("a", ids));
  CHECK(queue.worker.counts().done == 5);
  CHECK(queue.size("HLEN", "data") == "0");
  CHECK(queue.size("HLEN", "unique") == "0");
}

TEST_CASE("a turn takes no more jobs than have room, and one more", "[jobs]") {
  Queue queue;
  for (int i = 0; i < 4; ++i) queue.worker.enqueue("email", std::string(10'000, 'x'));
  queue.room = "15000";
  CHECK(queue.take_many(10).size() == 2);
  CHECK(queue.size("ZCARD", "wait") == "2");
  queue.room = "1";
  CHECK(queue.take_many(10).size() == 1);
}

TEST_CASE("a job that goes back keeps its payload, its place and who has run it", "[jobs]") {
  Queue queue;
  const std::string id = queue.worker.enqueue("email", "payload");
  const std::string next = queue.worker.enqueue("email", "next");
  const auto enqueued = queue.worker.find(id).enqueued;
  CHECK(queue.take() == id);
  CHECK(queue.worker.find(id).attempts == 1);
  CHECK(queue.worker.state_of(id) == JobState::running);
  CHECK(queue.settle("a", id, 1, "back"));
  CHECK(queue.worker.find(id).pids == std::vector<int>{7});
  const Reply reply = queue.turn("b", 1);
  CHECK(reply.array().at(1).array().at(0).string() == id);
  CHECK(reply.array().at(2).array().at(0).string() == "payload");
  const Reply::Array& again = reply.array().at(3).array();
  REQUIRE(again.size() == 1);
  CHECK(again[0].array().at(0).integer() == 1);
  CHECK(again[0].array().at(1).integer() == 2);
  CHECK(queue.worker.find(id).enqueued == enqueued);
  CHECK_FALSE(queue.done("b", {id}));  // of another attempt
  CHECK(queue.settle("b", id, 2, "done"));
  CHECK(queue.worker.find(id).pids == std::vector<int>{7, 7});
}

TEST_CASE("jobs that an older version has left are run, settled and forgotten", "[jobs]") {
  Queue queue;
  const auto change = [&queue](const std::string& script, const std::string& part, const std::string& id) {
    queue.redis.command({"EVAL", script, "1", key_of("email", part), id});
  };
  const auto left = [&](const std::string& digit, const std::string& facts) {
    const std::string id = "email." + std::string(31, '0') + digit;
    change("redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack({score = 5, attempts = 0, failures = 0, kills = 0, " +
               std::string("interruptions = 0, at = 1000, pids = {}, ") + facts + "}))",
           "jobs", id);
    change("redis.call('HSET', KEYS[1], ARGV[1], 'payload')", "data", id);
    return id;
  };
  const std::string waits = left("1", "state = 'waiting'");
  const std::string runs = left("2", "state = 'running', attempts = 1");
  const std::string ended = left("3", "state = 'done'");
  change("redis.call('ZADD', KEYS[1], 5, ARGV[1])", "wait", waits);
  change("redis.call('HSET', KEYS[1], ARGV[1], 'a/1')", "run", runs);
  change("redis.call('ZADD', KEYS[1], 1, ARGV[1])", "done", ended);

  const Reply reply = queue.turn("a", 10);
  CHECK(reply.array().at(1).array().at(0).string() == waits);
  CHECK(reply.array().at(2).array().at(0).string() == "payload");
  CHECK_FALSE(queue.worker.run(queue.worker.jobs().find(ended)));
  CHECK(queue.done("a", {waits, runs}));
  CHECK(queue.worker.state_of(waits) == JobState::done);
  CHECK(queue.worker.state_of(runs) == JobState::done);
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
  CHECK(queue.worker.state_of(id) == JobState::running);
  CHECK(progress("b", "1") == 0);
  CHECK_FALSE(queue.done("b", {id}));
  CHECK(queue.done("a", {id}));
  CHECK(queue.done("a", {id}));
  CHECK(queue.worker.find(id).progress == 1);
  CHECK(queue.worker.find(id).pids == std::vector<int>{7});
  CHECK(queue.size("HLEN", "data") == "0");
  CHECK(queue.worker.counts().done == 1);
}

TEST_CASE("a tick that is refused for data of another type is not taken", "[jobs]") {
  Queue queue;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const std::string tick = std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now).count());
  const Queue::Words args{"* * * * *", tick, "email.0123456789abcdef0123456789abcdef", "", "0", "0", "", "", "email"};
  queue.redis.command({"SET", key_of("email", "wait"), "text"});
  CHECK_THROWS_AS(queue.run(worker::tick_script(), args), RedisError);
  queue.redis.command({"DEL", key_of("email", "wait")});
  CHECK(queue.run(worker::tick_script(), args).integer() == 1);
  CHECK(queue.take() == args[2]);
}

TEST_CASE("a job that cannot be dropped for data of another type goes on waiting", "[jobs]") {
  Queue queue;
  const std::string id = queue.worker.enqueue("email", "payload");
  queue.redis.command({"SET", key_of("email", "results"), "text"});
  CHECK_THROWS_AS(queue.run(worker::drop_script(), {id}), RedisError);
  queue.redis.command({"DEL", key_of("email", "results")});
  CHECK(queue.take() == id);
}
