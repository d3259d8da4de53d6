#include "worker/state/jobs/schedules.h"

#include <deque>

#include "unit/worker/state/jobs/job_worker.h"
#include "worker/routing/app_state.h"

using namespace pronghorn;
using namespace pronghorn::test;
using worker::Cron;
using worker::ScheduleEntry;
using worker::Schedules;
using worker::Tick;
using worker::TimeZone;

namespace {

std::vector<ScheduleEntry> every_minute() {
  return {{.job = "cleanup", .text = "* * * * * UTC", .cron = Cron("* * * * *"), .zone = TimeZone()}};
}

const std::chrono::sys_seconds kNoon = std::chrono::sys_days(std::chrono::year(2020) / 11 / 30) + 12h;

}  // namespace

TEST_CASE("each tick of a schedule enqueues one job, whoever asks first", "[jobs][cron]") {
  const RedisProcess redis;
  JobWorker one(redis, "one");
  JobWorker other(redis, "other");
  const auto schedules = every_minute();
  CHECK(one.run(one.state->jobs.tick(schedules[0], kNoon)) == Tick::added);
  CHECK(other.run(other.state->jobs.tick(schedules[0], kNoon)) == Tick::taken);
  CHECK(one.run(one.state->jobs.tick(schedules[0], kNoon)) == Tick::taken);
  CHECK(other.run(other.state->jobs.tick(schedules[0], kNoon + 1min)) == Tick::added);
  CHECK(one.run(one.state->jobs.tick(schedules[0], kNoon)) == Tick::taken);  // its clock is slow
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

// The ticks of such a machine counted as taken, so nobody enqueued any until that year.
TEST_CASE("a machine whose clock is years ahead does not stop the schedules of the others", "[jobs][cron]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w");
  const auto schedules = every_minute();
  const auto right = std::chrono::floor<std::chrono::minutes>(std::chrono::system_clock::now());
  CHECK(worker.run(worker.state->jobs.tick(schedules[0], right + 24h * 365)) == Tick::early);
  CHECK(worker.run(worker.state->jobs.tick(schedules[0], right)) == Tick::added);
  CHECK(worker.run(worker.state->jobs.tick(schedules[0], right + 30min)) == Tick::added);  // a clock that is not exact
  CHECK(worker.run(worker.state->jobs.tick(schedules[0], right)) == Tick::taken);
  CHECK(worker.counts().waiting == 2);
  redis.command({"HSET", key_of("cleanup", "totals"), "tick:" + schedules[0].text, "99999999999"});
  CHECK(worker.run(worker.state->jobs.tick(schedules[0], right + 1min)) == Tick::added);
}

// It waited until its clock had reached that time again.
TEST_CASE("a schedule goes on when the clock is set back", "[jobs][cron]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w");
  const auto entries = every_minute();
  std::deque<std::chrono::system_clock::time_point> shown{kNoon + 24h * 365, kNoon + 59s + 990ms, kNoon + 1min};
  const Schedules schedules(worker.state->jobs, entries, [&shown] {
    const auto now = shown.front();
    if (shown.size() > 1) shown.pop_front();
    return now;
  });
  CHECK(worker.wait([&] { return worker.counts().waiting == 1; }));
}

// Every tick in between was computed: for half a century that took an hour, in one turn of the loop.
TEST_CASE("a clock that is set forward by decades costs a schedule no time", "[jobs][cron]") {
  const RedisProcess redis;
  JobWorker worker(redis, "w");
  const auto entries = every_minute();
  std::chrono::system_clock::time_point now = std::chrono::sys_days{} + 59s + 990ms;
  const Schedules schedules(worker.state->jobs, entries, [&now] { return now; });
  now = kNoon + 30s;
  CHECK(worker.wait([&] { return worker.counts().waiting == 1; }));
  const std::string field = "tick:" + entries[0].text;
  CHECK(redis.command({"HGET", key_of("cleanup", "totals"), field}) ==
        std::to_string(kNoon.time_since_epoch().count()));
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
