// Time zones, from the zone files of the C library (RFC 8536): GCC 12 has no time zones in <chrono>, and localtime()
// knows only one zone per process. No I/O except load().
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pronghorn::worker {

// A day of the year on which the clocks change, and when on that day.
struct ZoneRule {
  enum class Kind { week_of_month, day_without_leap, day } kind = Kind::day;
  int month = 0, week = 0, weekday = 0;  // week_of_month: week 5 is the last
  int day = 0;                           // day_without_leap: from 1, and 29 February is never counted; day: from 0
  std::chrono::seconds time{0};          // after midnight, local time; may be negative, or on another day
};

class TimeZone {
 public:
  TimeZone() = default;  // UTC

  // The zone of a name such as "Europe/Berlin", read from TZDIR or /usr/share/zoneinfo. "UTC" needs no file. Throws
  // std::invalid_argument with one sentence if there is none, or if its file is invalid.
  static TimeZone load(std::string_view name);
  // The same from the bytes of such a file.
  static TimeZone parse(std::string_view file);

  [[nodiscard]] std::chrono::seconds offset_at(std::chrono::sys_seconds when) const;
  // When the clocks show this time: once, twice if they are set back then, or never if they skip it; then `skipped` is
  // the moment at which they do.
  struct Moments {
    std::optional<std::chrono::sys_seconds> first, second, skipped;
  };
  [[nodiscard]] Moments moments_of(std::chrono::local_seconds local) const;

 private:
  struct Daylight {
    std::chrono::seconds offset{0};
    ZoneRule begin, end;
  };

  void parse_footer(std::string_view text);
  [[nodiscard]] std::chrono::seconds offset_by_rules(std::chrono::sys_seconds when) const;

  std::vector<std::int64_t> changes_;  // seconds since 1970, ascending
  std::vector<std::int32_t> offsets_;  // after each of them
  std::int32_t first_offset_ = 0;      // before all
  bool has_rules_ = false;             // after all; false: the last offset stays
  std::chrono::seconds standard_{0};
  std::optional<Daylight> daylight_;
};

}  // namespace pronghorn::worker
