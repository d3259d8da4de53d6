// Work that outlives its request: POST /jobs?ms=10&fail=0&kill=0 enqueues a job that takes that long, fails its first
// `fail` attempts and kills its worker in its first `kill` attempts.
#include <pronghorn/jobs.h>
#include <pronghorn/json.h>
#include <pronghorn/timer.h>

#include <chrono>
#include <csignal>
#include <stdexcept>

#include "demo.h"

namespace demo {

using namespace pronghorn;
using namespace std::chrono_literals;

namespace {

// What it should do is in the payload; how often it was tried is known.
Task<std::string> work(Job& job) {
  const auto asked = nlohmann::json::parse(job.payload());
  if (job.attempt() <= asked.at("kill").get<unsigned>()) std::raise(SIGSEGV);
  co_await sleep_for(std::chrono::milliseconds(asked.at("ms").get<std::uint32_t>()));
  if (job.failures() < asked.at("fail").get<unsigned>()) throw std::runtime_error("failed on purpose");
  co_return "attempt " + std::to_string(job.attempt());
}

Task<Response> enqueue(Request& request) {
  const nlohmann::json asked{{"ms", asked_time(request, "ms", 10).count()},
                             {"fail", request.query<std::uint32_t>("fail").value_or(0)},
                             {"kill", request.query<std::uint32_t>("kill").value_or(0)}};
  const std::string payload = asked.dump();
  const std::string id = co_await request.jobs().enqueue("demo", payload);
  co_return json_response({{"id", id}}, 202);
}

Task<Response> look_up(Request& request) {
  const auto id = request.param<std::string>("id");
  const auto job = co_await request.jobs().find(id);
  if (!job) throw not_found("there is no such job");
  nlohmann::json answer{
      {"id", job->id}, {"state", std::string(to_string(job->state))}, {"attempts", job->attempts}, {"pids", job->pids}};
  if (!job->reason.empty()) answer["reason"] = job->reason;
  if (!job->crash_report.empty()) answer["crash_report"] = job->crash_report;
  if (job->result) answer["result"] = *job->result;
  co_return json_response(answer);
}

Task<Response> count(Request& request) {
  const JobCounts counts = co_await request.jobs().counts();
  co_return json_response({{"waiting", counts.waiting},
                           {"running", counts.running},
                           {"done", counts.done},
                           {"failed", counts.failed},
                           {"dead", counts.dead}});
}

}  // namespace

void add_job_routes(App& app) {
  app.job("demo", work, {.attempts = 5, .backoff = 100ms, .concurrency = 100});
  app.post("/jobs", enqueue);
  app.get("/jobs", count);
  app.get("/jobs/{id}", look_up);
}

}  // namespace demo
