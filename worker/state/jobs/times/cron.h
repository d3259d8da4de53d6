// Cron expressions: "minute hour day month weekday". No I/O.
#pragma once

#include <bitset>
#include <chrono>
#include <optional>
#include <string_view>

#include "worker/state/jobs/times/time_zone.h"

namespace pronghorn::worker {

// Each of the five fields is a list of *, N, N-M, */S or N-M/S; months and weekdays may be named (JAN, MON), Sunday is 0
// or 7. If both day and weekday are restricted, a day that matches either counts. @hourly, @daily, @weekly, @monthly and
// @yearly are allowed too.
//
// When clocks are set forward, a time that they skip comes at the moment at which they do; when they are set back, a time
// that they show twice comes once. If the hour is *, ticks follow the time that passes instead: none for what is skipped,
// and again for what is shown twice.
class Cron {
 public:
  // Throws std::invalid_argument with one sentence if the expression is malformed or never fires.
  explicit Cron(std::string_view expression);

  // The first tick after that moment. Nothing only if time itself ends.
  [[nodiscard]] std::optional<std::chrono::sys_seconds> next(std::chrono::sys_seconds after,
                                                             const TimeZone& zone) const;

 private:
  [[nodiscard]] bool matches(std::chrono::local_days day) const;
  [[nodiscard]] std::optional<std::chrono::sys_seconds> next_on(std::chrono::local_days day,
                                                                std::chrono::sys_seconds after,
                                                                const TimeZone& zone) const;

  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;
  std::bitset<13> months_;
  std::bitset<7> weekdays_;
  bool every_hour_ = false;
  bool any_day_ = false;      // the field is *
  bool any_weekday_ = false;  // the same
};

}  // namespace pronghorn::worker
