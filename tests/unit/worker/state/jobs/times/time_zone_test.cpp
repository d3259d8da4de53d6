#include "worker/state/jobs/times/time_zone.h"

#include <time.h>

#include <fstream>
#include <iterator>

#include "support/catch.h"

using namespace std::chrono;
using pronghorn::worker::TimeZone;

namespace {

// What the C library says.
seconds offset_in_libc(const char* zone, sys_seconds when) {
  ::setenv("TZ", zone, 1);
  ::tzset();
  const time_t moment = when.time_since_epoch().count();
  tm local{};
  ::localtime_r(&moment, &local);
  ::unsetenv("TZ");
  ::tzset();
  return seconds(local.tm_gmtoff);
}

std::string file_of(const std::string& zone) {
  std::ifstream file("/usr/share/zoneinfo/" + zone, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("offsets are those of the C library, from 1900 to 2100", "[jobs][zone]") {
  for (const char* zone : {"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
                           "America/Sao_Paulo", "Africa/Casablanca", "Europe/Dublin", "Pacific/Apia", "Asia/Tehran",
                           "America/Santiago", "Antarctica/Troll", "Etc/GMT+5"}) {
    INFO(zone);
    const TimeZone loaded = TimeZone::load(zone);
    int wrong = 0;
    // An odd step, so that all hours of the day and days of the year come.
    for (sys_seconds when = sys_days(year(1900) / 1 / 1); when < sys_days(year(2100) / 1 / 1); when += hours(131)) {
      if (loaded.offset_at(when) != offset_in_libc(zone, when) && ++wrong < 3) {
        UNSCOPED_INFO(when.time_since_epoch().count() << ": " << loaded.offset_at(when).count());
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("a local time is one moment, two or none", "[jobs][zone]") {
  const TimeZone berlin = TimeZone::load("Europe/Berlin");
  const auto local = [](int month_, int day_, int hour, int minute) {
    return local_seconds(local_days(year(2050) / month_ / day_)) + hours(hour) + minutes(minute);
  };
  const auto once = berlin.moments_of(local(1, 1, 12, 0));
  CHECK(once.first == sys_days(year(2050) / 1 / 1) + hours(11));
  CHECK_FALSE(once.second);
  const auto twice = berlin.moments_of(local(10, 30, 2, 30));
  CHECK(twice.first == sys_days(year(2050) / 10 / 30) + minutes(30));
  CHECK(twice.second == sys_days(year(2050) / 10 / 30) + minutes(90));
  const auto never = berlin.moments_of(local(3, 27, 2, 30));
  CHECK_FALSE(never.first);
  CHECK(never.skipped == sys_days(year(2050) / 3 / 27) + hours(1));
}

TEST_CASE("names of zones that are none are refused", "[jobs][zone]") {
  for (const char* name : {"", "Nowhere/City", "../../etc/passwd", "/etc/passwd", "Europe", "zone.tab",
                           "Europe/Berlin\n", "Europe/../Europe/Berlin"}) {
    INFO(name);
    CHECK_THROWS_AS(TimeZone::load(name), std::invalid_argument);
  }
}

TEST_CASE("every file of a zone that is cut or changed is read or refused", "[jobs][zone]") {
  const std::string whole = file_of("Europe/Berlin");
  REQUIRE_NOTHROW(TimeZone::parse(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) CHECK_THROWS(TimeZone::parse(whole.substr(0, size)));
  int refused = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const char byte : {'\0', '\xff', '9', ','}) {
      std::string changed = whole;
      changed[i] = byte;
      try {
        (void)TimeZone::parse(changed).offset_at(sys_days(year(2026) / 1 / 1));
      } catch (const std::exception&) {
        ++refused;
      }
    }
  }
  CHECK(refused > 100);
}
