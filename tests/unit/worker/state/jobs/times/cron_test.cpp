#include "worker/state/jobs/times/cron.h"

#include <fmt/format.h>

#include "support/catch.h"

using namespace std::chrono;
using pronghorn::worker::Cron;
using pronghorn::worker::TimeZone;

namespace {

sys_seconds at(int year_, unsigned month_, unsigned day_, int hour = 0, int minute = 0) {
  return sys_days(year(year_) / static_cast<int>(month_) / static_cast<int>(day_)) + hours(hour) + minutes(minute);
}

std::string text(sys_seconds when) {
  const auto day = floor<days>(when);
  const year_month_day date(day);
  const hh_mm_ss time(when - day);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), time.hours().count(),
                     time.minutes().count());
}

std::string next(const char* expression, sys_seconds after, const char* zone = "UTC") {
  const auto tick = Cron(expression).next(after, TimeZone::load(zone));
  return tick ? text(*tick) : "never";
}

// The next ticks, in UTC.
std::vector<std::string> ticks(const char* expression, sys_seconds after, std::size_t count, const char* zone) {
  const Cron cron(expression);
  const TimeZone in = TimeZone::load(zone);
  std::vector<std::string> all;
  while (all.size() < count) {
    const auto tick = cron.next(after, in);
    REQUIRE(tick);
    all.push_back(text(*tick));
    after = *tick;
  }
  return all;
}

}  // namespace

TEST_CASE("a tick is the next minute that matches all fields", "[jobs][cron]") {
  const auto begin = at(2026, 11, 30, 15, 13);  // a Monday
  CHECK(next("* * * * *", begin) == "2026-11-30 15:14");
  CHECK(next("* * * * *", begin + seconds(59)) == "2026-11-30 15:14");
  CHECK(next("13 * * * *", begin) == "2026-11-30 16:13");
  CHECK(next("13 * * * *", begin - seconds(1)) == "2026-11-30 15:13");
  CHECK(next("*/20 * * * *", begin) == "2026-11-30 15:20");
  CHECK(next("5/20 * * * *", begin) == "2026-11-30 15:25");
  CHECK(next("0 3 * * *", begin) == "2026-12-01 03:00");
  CHECK(next("30 9-17/4 * * *", begin) == "2026-11-30 17:30");
  CHECK(next("0 0 1 * *", begin) == "2026-12-01 00:00");
  CHECK(next("0 0 1 1 *", begin) == "2027-01-01 00:00");
  CHECK(next("0 0 * * 0", begin) == "2026-12-06 00:00");
  CHECK(next("0 0 * * 7", begin) == "2026-12-06 00:00");
  CHECK(next("0 0 * * sun", begin) == "2026-12-06 00:00");
  CHECK(next("0 0 * * Tue-Thu", begin) == "2026-12-01 00:00");
  CHECK(next("0 0 * FEB,mar *", begin) == "2027-02-01 00:00");
  CHECK(next("0 0 29 2 *", begin) == "2028-02-29 00:00");
  CHECK(next("0 0 29 2 *", at(2096, 3, 1)) == "2104-02-29 00:00");
  CHECK(next("0 0 31 * *", begin) == "2026-12-31 00:00");
  CHECK(next(" 0\t0  31 * * ", begin) == "2026-12-31 00:00");
  CHECK(next("@daily", begin) == "2026-12-01 00:00");
  CHECK(next("@hourly", begin) == "2026-11-30 16:00");
}

TEST_CASE("with a day and a weekday, either counts", "[jobs][cron]") {
  const auto begin = at(2026, 11, 30, 15, 13);
  CHECK(next("0 0 2 * 4", begin) == "2026-12-02 00:00");
  CHECK(next("0 0 9 * 4", begin) == "2026-12-03 00:00");
  CHECK(next("0 0 */2 * 4", begin) == "2026-12-03 00:00");  // a field that begins with * does not restrict
}

TEST_CASE("expressions that are malformed or never fire are refused", "[jobs][cron]") {
  for (const char* bad : {"",
                          " ",
                          "* * * *",
                          "* * * * * *",
                          "60 * * * *",
                          "* 24 * * *",
                          "* * 0 * *",
                          "* * 32 * *",
                          "* * * 13 *",
                          "* * * * 8",
                          "a * * * *",
                          "* * * xyz *",
                          "5-1 * * * *",
                          "*/0 * * * *",
                          "*/61 * * * *",
                          "1,,2 * * * *",
                          ", * * * *",
                          "1- * * * *",
                          "-1 * * * *",
                          "1-2-3 * * * *",
                          "*/ * * * *",
                          "/5 * * * *",
                          "@reboot",
                          "@",
                          "* * L * *",
                          "99999999999999999999 * * * *",
                          "0 0 30 2 *",
                          "0 0 31 2,4,6,9,11 *",
                          "** * * * *",
                          "+1 * * * *"}) {
    INFO(bad);
    CHECK_THROWS_AS(Cron(bad), std::invalid_argument);
  }
  const std::string long_one = std::string(100'000, '1') + " * * * *";
  CHECK_THROWS_AS(Cron(long_one), std::invalid_argument);
  CHECK_THROWS_WITH(Cron("0 0 30 2 *"), Catch::Matchers::Contains("never fires"));
}

TEST_CASE("ticks follow the clocks of their zone", "[jobs][cron]") {
  CHECK(ticks("0 3 * * *", at(2026, 7, 1), 2, "Europe/Berlin") ==
        std::vector<std::string>{"2026-07-01 01:00", "2026-07-02 01:00"});
  CHECK(ticks("0 3 * * *", at(2026, 12, 1), 2, "Europe/Berlin") ==
        std::vector<std::string>{"2026-12-01 02:00", "2026-12-02 02:00"});
  CHECK(ticks("15 0 1 1 *", at(2026, 12, 1), 1, "Asia/Kathmandu") == std::vector<std::string>{"2026-12-31 18:30"});
}

// Berlin: on 29 March 2026 clocks jump from 2:00 to 3:00, at 1:00 UTC.
TEST_CASE("a time that clocks skip comes when they do", "[jobs][cron]") {
  CHECK(ticks("30 2 * * *", at(2026, 3, 28), 3, "Europe/Berlin") ==
        std::vector<std::string>{"2026-03-28 01:30", "2026-03-29 01:00", "2026-03-30 00:30"});
  CHECK(ticks("*/30 * * * *", at(2026, 3, 29, 0, 15), 4, "Europe/Berlin") ==
        std::vector<std::string>{"2026-03-29 00:30", "2026-03-29 01:00", "2026-03-29 01:30", "2026-03-29 02:00"});
}

// On 25 October 2026 they go from 3:00 back to 2:00, at 1:00 UTC.
TEST_CASE("a time that clocks show twice comes once, unless the hour is *", "[jobs][cron]") {
  CHECK(ticks("30 2 * * *", at(2026, 10, 24), 3, "Europe/Berlin") ==
        std::vector<std::string>{"2026-10-24 00:30", "2026-10-25 00:30", "2026-10-26 01:30"});
  CHECK(ticks("30 * * * *", at(2026, 10, 24, 23, 45), 4, "Europe/Berlin") ==
        std::vector<std::string>{"2026-10-25 00:30", "2026-10-25 01:30", "2026-10-25 02:30", "2026-10-25 03:30"});
}
