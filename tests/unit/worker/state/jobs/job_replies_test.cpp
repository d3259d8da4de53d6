// Replies to the script of jobs that are not its own: from a proxy, or a server that only resembles Redis.
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "unit/worker/state/answering_server.h"
#include "unit/worker/state/jobs/job_worker.h"
#include "worker/state/jobs/queue/job_scripts.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

const std::string kId = "email.0123456789abcdef0123456789abcdef";

// What the script of a turn replies: nothing new, but which of the settled jobs are gone.
std::string turn_without(const std::string& gone = "*0\r\n") {
  return "*7\r\n*0\r\n*0\r\n*0\r\n*0\r\n:0\r\n:-1\r\n" + gone;
}
// One job, and what it says of attempts.
std::string turn_with(const std::string& again) {
  return "*7\r\n*0\r\n*1\r\n$38\r\n" + kId + "\r\n*1\r\n$7\r\npayload\r\n" + again + ":0\r\n:-1\r\n*0\r\n";
}

// To everything but a turn.
std::string answer_other(const std::vector<std::string>& words) {
  if (words[0].starts_with("EVAL") && words[1] == worker::sync_script().sha1()) return "*4\r\n:0\r\n:0\r\n:0\r\n:0\r\n";
  if (words[0] == "SUBSCRIBE") {
    return "*3\r\n$9\r\nsubscribe\r\n$" + std::to_string(words[1].size()) + "\r\n" + words[1] + "\r\n:1\r\n";
  }
  return "+OK\r\n";
}
bool is_turn(const std::vector<std::string>& words) {
  return words[0].starts_with("EVAL") && words[1] == worker::turn_script().sha1();
}

}  // namespace

TEST_CASE("a turn whose reply says nothing that it may say of attempts starts no job", "[jobs]") {
  const auto again = GENERATE(as<std::string>(), ":1\r\n", "$-1\r\n", "*1\r\n:1\r\n", "*1\r\n*2\r\n:1\r\n:2\r\n",
                              "*1\r\n*4\r\n:1\r\n:2\r\n:0\r\n:0\r\n", "*1\r\n*3\r\n+one\r\n:2\r\n:0\r\n");
  std::atomic<int> turns = 0;
  AnsweringServer server([&](const std::vector<std::string>& words) -> std::string {
    if (is_turn(words)) {
      switch (++turns) {
        case 1:
          return turn_with(again);
        case 2:
          return turn_with("*1\r\n*3\r\n:1\r\n:2\r\n:1\r\n");
        default:
          return turn_without();
      }
    }
    return answer_other(words);
  });
  JobWorker worker(config_for("unix:" + server.socket()), "w");
  int turns_before = 0;
  std::vector<unsigned> attempts;
  worker.job("email", [&](Job& job) {
    turns_before = turns;
    attempts.push_back(job.attempt());
  });
  worker.take_jobs();
  CHECK(worker.wait([&] { return worker.count(Count::jobs_done) == 1; }));
  CHECK(turns_before == 2);
  CHECK(attempts == std::vector<unsigned>{2});
}

// It was done, and not kept; or somebody has dropped it.
TEST_CASE("a job that is gone counts as it ended if Redis may have learnt of that, and as fenced if not", "[jobs]") {
  const bool answers = GENERATE(false, true);
  CAPTURE(answers);
  std::atomic<int> turns = 0;
  std::atomic<bool> goes_on = answers;
  AnsweringServer server([&](const std::vector<std::string>& words) -> std::string {
    if (!is_turn(words)) return answer_other(words);
    if (++turns == 1) return turn_with("*0\r\n");
    while (!goes_on) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return turn_without("*1\r\n:1\r\n");
  });
  JobWorker worker(config_for("unix:" + server.socket(), std::chrono::milliseconds(100)), "w");
  worker.job("email", [](Job&) {});
  worker.take_jobs();
  if (!answers) {
    CHECK(worker.wait([&] { return worker.count(Count::redis_errors) > 0; }));
    goes_on = true;
  }
  CHECK(worker.wait([&] { return worker.count(Count::jobs_done) + worker.count(Count::jobs_fenced) == 1; }));
  CHECK(worker.count(Count::jobs_fenced) == (answers ? 1 : 0));
}
