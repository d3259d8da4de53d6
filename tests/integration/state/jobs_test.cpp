// Jobs of the demo, with several workers that are killed, crash, drain and reload.
#include <signal.h>

#include <atomic>
#include <cstdio>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "integration/state/demo_jobs.h"
#include "support/catch.h"
#include "support/paths.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"
#include "support/system/plain_signals.h"

using namespace pronghorn::test;

namespace {

const int kJobs = is_sanitized() ? 1'000 : 10'000;

std::string key(const std::string& part) { return "demo:j:{demo:demo}:" + part; }

ServerOptions options_for(const RedisProcess& redis, int workers, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments{"--name", "demo"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return {.workers = workers, .redis = redis.url(), .arguments = arguments, .environment = kPlainSignals};
}

nlohmann::json counts(const ServerProcess& server) { return get(server.address(), "/jobs").json(); }

int first_pid(const ServerProcess& server, const std::string& id) {
  REQUIRE(wait_state(server, id, "running"));
  return job(server, id).at("pids").at(0).get<int>();
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

// Enqueues jobs over one connection after the other, until `count` were accepted.
std::vector<std::string> enqueue_many(const ServerProcess& server, int count) {
  std::vector<std::string> ids;
  while (std::ssize(ids) < count) {
    try {
      HttpConnection connection(server.address());
      while (std::ssize(ids) < count) {
        const HttpResponse response = connection.request("POST", "/jobs?ms=300", {}, "x");
        if (response.status == 202) ids.push_back(response.json().at("id").get<std::string>());
      }
    } catch (const ClientError&) {  // its worker was killed
    }
  }
  return ids;
}

}  // namespace

TEST_CASE("a job runs, and its route says what became of it", "[jobs]") {
  const RedisProcess redis;
  const ServerProcess server(options_for(redis, 2));
  const std::string id = enqueue(server, "?ms=1");
  REQUIRE(wait_state(server, id, "done"));
  const auto status = job(server, id);
  CHECK(status.at("id") == id);
  CHECK(status.at("attempts") == 1);
  CHECK(status.at("pids").size() == 1);
  CHECK(counts(server) == nlohmann::json{{"waiting", 0}, {"running", 0}, {"done", 1}, {"failed", 0}, {"dead", 0}});
  CHECK(get(server.address(), "/jobs/demo.0123456789abcdef0123456789abcdef").status == 404);
  CHECK(get(server.address(), "/jobs/x").status == 404);
}

TEST_CASE("a job that fails is tried again; when it has failed too often, it has failed", "[jobs]") {
  const RedisProcess redis;
  const ServerProcess server(options_for(redis, 2));
  const std::string twice = enqueue(server, "?ms=1&fail=2");
  const std::string always = enqueue(server, "?ms=1&fail=100");
  CHECK(wait_state(server, twice, "done"));
  CHECK(job(server, twice).at("attempts") == 3);
  CHECK(wait_state(server, always, "failed"));
  CHECK(job(server, always).at("attempts") == 5);
  CHECK(counts(server).at("failed") == 1);
  CHECK(eventually(10s, [&] { return server.status()["totals"]["jobs"]["dead_letters"] == 1; }));
  CHECK(server.status()["totals"]["jobs"]["failed"] == 1);
}

TEST_CASE("a job that has killed two workers is dead, and no request is quarantined for it", "[jobs]") {
  const RedisProcess redis;
  const ServerProcess server(options_for(redis, 2));
  const std::string id = enqueue(server, "?kill=2");
  REQUIRE(wait_state(server, id, "dead"));
  const auto status = job(server, id);
  CHECK(status.at("attempts") == 2);
  CHECK(status.at("pids").size() == 2);
  CHECK(status.at("reason").get<std::string>().find("SIGSEGV") != std::string::npos);
  const auto report = status.at("crash_report").get<std::string>();
  CHECK(report.ends_with(".json"));
  CHECK(read_file(server.file("data/crashes/" + report)).find("JOB " + id) != std::string::npos);
  CHECK(server.status().at("quarantine").empty());
  CHECK(counts(server).at("dead") == 1);
}

TEST_CASE("with a single worker, a job that kills once is run by the next, and its kill is known", "[jobs]") {
  const RedisProcess redis;
  const ServerProcess server(options_for(redis, 1));
  const std::string once = enqueue(server, "?kill=1");
  CHECK(wait_state(server, once, "done"));
  CHECK(job(server, once).at("attempts") == 2);
  const std::string twice = enqueue(server, "?kill=2");
  CHECK(wait_state(server, twice, "dead"));
}

TEST_CASE("when a worker is killed, another starts its job at once", "[jobs]") {
  const RedisProcess redis;
  const ServerProcess server(options_for(redis, 2, {"--drain-timeout", "100ms"}));
  for (int round = 0; round < 3; ++round) {
    const std::string id = enqueue(server, "?ms=600000");
    const int victim = first_pid(server, id);
    const auto died = Clock::now();
    REQUIRE(::kill(victim, SIGKILL) == 0);
    // Without a pause: what is measured is short.
    REQUIRE(eventually(60s, [&] { return redis.command({"HGET", key("run"), id}).ends_with("/2"); }, 0ms));
    const auto took = std::chrono::duration<double, std::milli>(Clock::now() - died);
    std::printf("a job started again %.1f ms after its worker was killed\n", took.count());
    REQUIRE(eventually(10s, [&] { return job(server, id).at("pids").size() == 2; }));
    CHECK(job(server, id).at("pids").at(1) != victim);
    CHECK(job(server, id).at("state") == "running");
    REQUIRE(server.wait_ready(2, 30s));
  }
}

TEST_CASE("while workers are killed every second, no job is lost, and none is done twice", "[jobs][load]") {
  const RedisProcess redis;
  const ServerProcess server(options_for(redis, 3));
  std::atomic<bool> stop{false};
  std::atomic<int> kills{0};
  std::thread killer([&] {
    for (std::size_t turn = 0; !stop; ++turn) {
      for (int i = 0; i < 100 && !stop; ++i) std::this_thread::sleep_for(10ms);
      try {
        const auto pids = server.worker_pids();
        if (!stop && !pids.empty() && ::kill(pids[turn % pids.size()], SIGKILL) == 0) ++kills;
      } catch (const std::exception&) {  // all are being replaced
      }
    }
  });
  const auto begin = Clock::now();
  const std::vector<std::string> ids = enqueue_many(server, kJobs);
  // A job whose worker was killed before it could answer is there too, and is as good as the others.
  const std::string enqueued = redis.command({"HGET", key("totals"), "enqueued"});
  const bool ended = eventually(300s, [&] {
    return redis.command({"HLEN", key("run")}) == "0" && redis.command({"ZCARD", key("wait")}) == "0" &&
           redis.command({"ZCARD", key("later")}) == "0";
  });
  stop = true;
  killer.join();
  const std::chrono::duration<double> took = Clock::now() - begin;
  std::printf("%s jobs in %.1f s, while %d workers were killed\n", enqueued.c_str(), took.count(), kills.load());
  CHECK(ended);
  CHECK(kills > 0);
  CHECK(redis.command({"HGET", key("totals"), "done"}) == enqueued);
  const std::vector<std::string> done = words_of(redis.command({"ZRANGE", key("done"), "0", "-1"}));
  const std::set<std::string> done_once(done.begin(), done.end());
  CHECK(std::to_string(done.size()) == enqueued);
  CHECK(done_once.size() == done.size());
  std::size_t lost = 0;
  for (const std::string& id : ids) lost += done_once.contains(id) ? 0 : 1;
  CHECK(lost == 0);
  CHECK(std::set<std::string>(ids.begin(), ids.end()).size() == ids.size());
  REQUIRE(server.wait_ready(3, 30s));
  CHECK(counts(server) ==
        nlohmann::json{{"waiting", 0}, {"running", 0}, {"done", std::stoi(enqueued)}, {"failed", 0}, {"dead", 0}});
}

TEST_CASE("jobs that run when their worker is replaced are finished by it", "[jobs][reload]") {
  const RedisProcess redis;
  const ServerProcess server(options_for(redis, 2));
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i) ids.push_back(enqueue(server, "?ms=1000"));
  for (const std::string& id : ids) REQUIRE(wait_state(server, id, "running"));
  CHECK(server.control_command({"reload", "--wait"}).status == 0);
  for (const std::string& id : ids) {
    CHECK(wait_state(server, id, "done"));
    CHECK(job(server, id).at("attempts") == 1);
  }
}

TEST_CASE("a job that drain_timeout cuts goes back, and runs when the server runs again", "[jobs]") {
  const RedisProcess redis;
  std::string id;
  {
    ServerProcess server(options_for(redis, 2, {"--drain-timeout", "100ms"}));
    id = enqueue(server, "?ms=3000");
    (void)first_pid(server, id);
    CHECK(server.stop());
    CHECK(redis.command({"HLEN", key("run")}) == "0");
    CHECK(redis.command({"ZCARD", key("wait")}) == "1");
  }
  const ServerProcess server(options_for(redis, 2));
  CHECK(wait_state(server, id, "done"));
  CHECK(job(server, id).at("attempts") == 2);
}

TEST_CASE("while Redis is down POST /jobs is 503, and jobs are taken again when it is back", "[jobs][redis]") {
  RedisProcess redis;
  const ServerProcess server(options_for(redis, 2));
  redis.kill();
  CHECK(eventually(10s, [&] { return post(server.address(), "/jobs").status == 503; }));
  redis.restart();
  REQUIRE(server.wait_redis());
  const std::string id = enqueue(server, "?ms=1");
  CHECK(wait_state(server, id, "done"));
}
