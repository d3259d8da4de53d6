#include "worker/state/jobs/schedules.h"

#include "unit/worker/state/jobs/job_worker.h"
#include "worker/routing/app_state.h"

using namespace pronghorn;
using namespace pronghorn::test;
using worker::Cron;
using worker::ScheduleEntry;
using worker::Schedules;
using worker::TimeZone;

namespace {

std::vector<ScheduleEntry> every_minute() {
  return {{.job = "cleanup", .text = "* * * * * UTC", .cron = Cron("* * * * *"), .zone = TimeZone()}};
}

const std::chrono::sys_seconds kNoon = std::chrono::sys_days(std::chrono::year(2026) / 11 / 30) + 12h;

}  // namespace

TEST_CASE("each tick of a schedule enqueues one job, whoever asks first", "[jobs][cron]") {
  const RedisProcess redis;
  JobWorker one(redis, "one");
  JobWorker other(redis, "other");
  const auto schedules = every_minute();
  CHECK(one.run(one.state->jobs.tick(schedules[0], kNoon)));
  CHECK_FALSE(other.run(other.state->jobs.tick(schedules[0], kNoon)));
  CHECK_FALSE(one.run(one.state->jobs.tick(schedules[0], kNoon)));
  CHECK(other.run(other.state->jobs.tick(schedules[0], kNoon + 1min)));
  CHECK_FALSE(one.run(one.state->jobs.tick(schedules[0], kNoon)));  // its clock is slow
  CHECK(one.counts().waiting == 2);
}

TEST_CASE("a schedule enqueues at its ticks, and once for those that it slept through", "[jobs][cron]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w");
  const auto entries = every_minute();
  std::chrono::system_clock::time_point now = kNoon + 59s + 990ms;
  const Schedules schedules(worker.state->jobs, entries, [&now] { return now; });
  worker.turn(20ms);
  CHECK(worker.counts().waiting == 0);
  now = kNoon + 1min;
  CHECK(worker.wait([&] { return worker.counts().waiting == 1; }));
  worker.turn(20ms);
  CHECK(worker.counts().waiting == 1);
}

TEST_CASE("a tick that comes while Redis is down is made up for", "[jobs][cron]") {
  RedisProcess redis;
  JobWorker worker(redis, "w");
  const auto entries = every_minute();
  redis.kill();
  CHECK(worker.wait([&worker] { return !worker.state->redis_up(); }));
  std::chrono::system_clock::time_point now = kNoon + 59s + 990ms;
  const Schedules schedules(worker.state->jobs, entries, [&now] { return now; });
  now = kNoon + 3min;
  worker.turn(50ms);
  redis.restart();
  CHECK(worker.wait([&worker] { return worker.state->redis_up(); }));
  CHECK(worker.wait([&] { return worker.counts().waiting == 1; }));
}

TEST_CASE("schedules that can never work end the start", "[jobs][cron]") {
  detail::AppState state;
  App app(state);
  CHECK_THROWS_AS(app.every("* * * * *", "cleanup"), std::invalid_argument);  // no such job
  app.job("cleanup", [](Job&) {});
  app.every("* * * * *", "cleanup");
  CHECK_THROWS_AS(app.every("0 0 30 2 *", "cleanup"), std::invalid_argument);
  CHECK_THROWS_AS(app.every("* * * * *", "cleanup", "Mars/Olympus"), std::invalid_argument);
  CHECK_THROWS_AS(app.job("cleanup", [](Job&) {}), std::invalid_argument);
  CHECK_THROWS_AS(app.job("a b", [](Job&) {}), std::invalid_argument);
  CHECK_THROWS_AS(app.job("a", std::function<void(Job&)>()), std::invalid_argument);
  CHECK_THROWS_AS(app.job("a", [](Job&) {}, {.attempts = 0}), std::invalid_argument);
  CHECK_THROWS_AS(app.job("a", [](Job&) {}, {.concurrency = 0}), std::invalid_argument);
  CHECK_THROWS_AS(app.job("a", [](Job&) {}, {.backoff = 2h}), std::invalid_argument);  // above max_backoff
}
