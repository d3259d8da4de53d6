// Workers that only run jobs (option job_workers), and `pronghorn jobs`.
#include <signal.h>

#include <set>
#include <string>
#include <vector>

#include "integration/state/demo_jobs.h"
#include "support/catch.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"
#include "support/system/plain_signals.h"

using namespace pronghorn::test;

namespace {

std::vector<pid_t> job_workers(const ServerProcess& server) {
  std::vector<pid_t> pids;
  const auto status = server.status();
  for (const auto& worker : status.at("job_workers")) {
    if (worker.at("state") == "ready") pids.push_back(worker.at("pid").get<pid_t>());
  }
  return pids;
}

bool wait_job_workers(const ServerProcess& server, std::size_t count) {
  return eventually(30s, [&] { return job_workers(server).size() == count; });
}

}  // namespace

TEST_CASE("with job workers, they alone run jobs, and serve no requests", "[jobs]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url(), .arguments = {"--job-workers", "2"}});
  REQUIRE(wait_job_workers(server, 2));
  const auto pids = job_workers(server);
  const auto web = server.worker_pids();
  CHECK(web.size() == 2);
  std::set<pid_t> ran;
  for (int i = 0; i < 30; ++i) {
    const std::string id = enqueue(server, "?ms=1");
    REQUIRE(wait_state(server, id, "done"));
    ran.insert(job(server, id).at("pids").at(0).get<pid_t>());
  }
  for (const pid_t pid : ran) CHECK(std::find(pids.begin(), pids.end(), pid) != pids.end());
  CHECK(server.status().at("totals").at("jobs").at("done") == 30);
  const auto status = server.status();
  for (const auto& worker : status.at("job_workers")) {
    CHECK(worker.at("accepted") == 0);
    CHECK(worker.at("requests") == 0);
  }
  CHECK(get(server.address(), "/metrics").body.find("pronghorn_worker_up{slot=\"jobs1\"} 1") != std::string::npos);
}

TEST_CASE("a job worker that is killed is replaced, and its job starts again in another", "[jobs]") {
  const RedisProcess redis;
  const ServerProcess server(
      {.workers = 1, .redis = redis.url(), .arguments = {"--job-workers", "2"}, .environment = kPlainSignals});
  REQUIRE(wait_job_workers(server, 2));
  const std::string id = enqueue(server, "?ms=1000");
  REQUIRE(wait_state(server, id, "running"));
  const auto victim = job(server, id).at("pids").at(0).get<pid_t>();
  REQUIRE(::kill(victim, SIGKILL) == 0);
  CHECK(wait_state(server, id, "done"));
  CHECK(job(server, id).at("attempts") == 2);
  CHECK(wait_job_workers(server, 2));
  CHECK(server.log_has("job worker "));
  const std::string killer = enqueue(server, "?kill=2");
  CHECK(wait_state(server, killer, "dead"));
  CHECK(wait_job_workers(server, 2));
}

TEST_CASE("a reload replaces job workers, which finish their jobs", "[jobs][reload]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 1, .redis = redis.url(), .arguments = {"--job-workers", "1"}});
  REQUIRE(wait_job_workers(server, 1));
  const auto before = job_workers(server);
  const std::string id = enqueue(server, "?ms=1000");
  REQUIRE(wait_state(server, id, "running"));
  CHECK(server.control_command({"reload", "--wait"}).status == 0);
  REQUIRE(wait_job_workers(server, 1));
  CHECK(job_workers(server) != before);
  CHECK(wait_state(server, id, "done"));
  CHECK(job(server, id).at("attempts") == 1);
  CHECK(job(server, id).at("pids").at(0) == before.at(0));
  const std::string next = enqueue(server, "?ms=1");
  CHECK(wait_state(server, next, "done"));
}

TEST_CASE("job workers are recycled, and no job is lost or tried again for it", "[jobs][recycling]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 1,
                              .redis = redis.url(),
                              .arguments = {"--job-workers", "1", "--recycle-age", "1s"},
                              .environment = {{"PRONGHORN_LOG_LEVEL", "info"}}});
  REQUIRE(wait_job_workers(server, 1));
  std::set<pid_t> ran;
  // Each begins before the next recycling, which comes after a second or more, and may be under way during it.
  while (ran.size() < 3) {
    const std::string id = enqueue(server, "?ms=300");
    REQUIRE(wait_state(server, id, "done"));
    CHECK(job(server, id).at("attempts") == 1);
    ran.insert(job(server, id).at("pids").at(0).get<pid_t>());
  }
  CHECK(server.log_has("replacing job worker 0"));
  CHECK(server.status().at("totals").at("restarts") == 0);
}

TEST_CASE("pronghorn jobs counts, lists, shows, retries and drops", "[jobs][command]") {
  const RedisProcess redis;
  const ServerProcess server({.workers = 2, .redis = redis.url()});
  const auto run = [&server](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "jobs");
    return server.control_command(std::move(arguments));
  };
  CHECK(run({}).status == 0);
  const std::string done = enqueue(server, "?ms=1");
  const std::string failed = enqueue(server, "?ms=1&fail=5");
  REQUIRE(wait_state(server, done, "done"));
  REQUIRE(wait_state(server, failed, "failed"));

  const auto stats = nlohmann::json::parse(run({"stats", "--json"}).out);
  REQUIRE(stats.size() == 1);
  CHECK(stats[0] ==
        nlohmann::json{{"name", "demo"}, {"waiting", 0}, {"running", 0}, {"done", 1}, {"failed", 1}, {"dead", 0}});
  CHECK(run({"stats"}).out.find("demo") != std::string::npos);

  const auto list = nlohmann::json::parse(run({"list", "failed", "--json"}).out);
  REQUIRE(list.size() == 1);
  CHECK(list[0].at("id") == failed);
  CHECK(list[0].at("attempts") == 5);
  CHECK(list[0].at("reason").get<std::string>().find("failed on purpose") != std::string::npos);
  CHECK(run({"list"}).out == "no dead jobs\n");
  CHECK(run({"list", "failed", "--name", "other"}).out == "no failed jobs\n");

  const auto shown = run({"show", failed});
  CHECK(shown.status == 0);
  CHECK(shown.out.find("\"fail\":5") != std::string::npos);
  CHECK(run({"retry", done}).status == 1);
  CHECK(run({"retry", failed}).out == "1 will run again\n");
  REQUIRE(wait_state(server, failed, "failed"));  // five times more
  CHECK(job(server, failed).at("attempts") == 10);
  CHECK(run({"retry", "failed", "--name", "demo"}).out == "1 will run again\n");
  REQUIRE(wait_state(server, failed, "failed"));
  CHECK(run({"drop", failed}).out == "1 dropped\n");
  CHECK(get(server.address(), "/jobs/" + failed).status == 404);
  CHECK(run({"show", failed}).status == 1);

  for (const auto& wrong : std::vector<std::vector<std::string>>{{"list", "lost"},
                                                                 {"show"},
                                                                 {"show", "dead"},
                                                                 {"retry"},
                                                                 {"retry", "done"},
                                                                 {"drop", "running"},
                                                                 {"stats", "email"},
                                                                 {"list", "dead", "--count", "0"},
                                                                 {"clean"}}) {
    CHECK(run(wrong).status == 2);
  }
}

TEST_CASE("pronghorn jobs says so when the server has no Redis", "[jobs][command]") {
  const ServerProcess server({.workers = 1});
  const auto result = server.control_command({"jobs"});
  CHECK(result.status == 1);
  CHECK(result.err.find("--redis none") != std::string::npos);
}
