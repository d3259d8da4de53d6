#include "worker/state/jobs/times/cron.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

namespace pronghorn::worker {
namespace {

using namespace std::chrono;

// The longest time between two days of an expression that fires is that between two of 29 February on a given weekday: 40
// years, around 2100.
constexpr int kLongestGapDays = 41 * 366;

constexpr std::array<std::string_view, 12> kMonths{"jan", "feb", "mar", "apr", "may", "jun",
                                                   "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekdays{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kNicknames{{{"@hourly", "0 * * * *"},
                                                                                   {"@daily", "0 0 * * *"},
                                                                                   {"@midnight", "0 0 * * *"},
                                                                                   {"@weekly", "0 0 * * 0"},
                                                                                   {"@monthly", "0 0 1 * *"},
                                                                                   {"@yearly", "0 0 1 1 *"},
                                                                                   {"@annually", "0 0 1 1 *"}}};

struct Field {
  const char* name;
  unsigned least;
  unsigned most;
  std::span<const std::string_view> names;  // of the values from `least` on
};

// A part of the expression that is wrong.
struct Bad {
  std::string why;
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

unsigned read_number(std::string_view text, const Field& field) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc{} && end == text.data() + text.size() && value >= field.least && value <= field.most) {
    return value;
  }
  const auto named = std::ranges::find(field.names, lower(text));
  if (named != field.names.end()) return field.least + static_cast<unsigned>(named - field.names.begin());
  throw Bad{
      fmt::format("\"{}\" is not a valid {}; use {} to {}", text.substr(0, 20), field.name, field.least, field.most)};
}

// One element of a list: *, N, N-M, with /STEP.
template <std::size_t N>
void add_range(std::string_view text, const Field& field, std::bitset<N>& values) {
  const std::size_t slash = text.find('/');
  const std::string_view range = text.substr(0, slash);
  unsigned step = 1;
  if (slash != std::string_view::npos) {
    step = read_number(text.substr(slash + 1), {.name = "step", .least = 1, .most = field.most, .names = {}});
  }
  unsigned first = field.least;
  unsigned last = field.most;
  if (range != "*") {
    const std::size_t dash = range.find('-');
    first = read_number(range.substr(0, dash), field);
    if (dash != std::string_view::npos) {
      last = read_number(range.substr(dash + 1), field);
    } else if (slash == std::string_view::npos) {
      last = first;
    }
    if (last < first) throw Bad{fmt::format("the range \"{}\" ends before it begins", range)};
  }
  for (unsigned value = first; value <= last; value += step) values.set(value);
}

template <std::size_t N>
std::bitset<N> read_field(std::string_view text, const Field& field) {
  std::bitset<N> values;
  for (;;) {
    const std::size_t comma = text.find(',');
    add_range(text.substr(0, comma), field, values);
    if (comma == std::string_view::npos) return values;
    text.remove_prefix(comma + 1);
  }
}

std::array<std::string_view, 5> split(std::string_view expression) {
  std::array<std::string_view, 5> fields;
  std::size_t count = 0;
  for (std::size_t begin = expression.find_first_not_of(" \t"); begin != std::string_view::npos;) {
    const std::size_t end = std::min(expression.find_first_of(" \t", begin), expression.size());
    if (count == fields.size()) throw Bad{"it has more than five fields"};
    fields[count++] = expression.substr(begin, end - begin);
    begin = expression.find_first_not_of(" \t", end);
  }
  if (count != fields.size()) throw Bad{"use five fields: minute hour day month weekday"};
  return fields;
}

}  // namespace

Cron::Cron(std::string_view expression) {
  try {
    if (expression.size() > 1000) throw Bad{"it is too long"};
    std::string_view text = expression;
    for (const auto& [nickname, meaning] : kNicknames) {
      if (text == nickname) text = meaning;
    }
    const auto fields = split(text);
    minutes_ = read_field<60>(fields[0], {.name = "minute", .least = 0, .most = 59, .names = {}});
    hours_ = read_field<24>(fields[1], {.name = "hour", .least = 0, .most = 23, .names = {}});
    days_ = read_field<32>(fields[2], {.name = "day", .least = 1, .most = 31, .names = {}});
    months_ = read_field<13>(fields[3], {.name = "month", .least = 1, .most = 12, .names = kMonths});
    const auto weekdays = read_field<8>(fields[4], {.name = "weekday", .least = 0, .most = 7, .names = kWeekdays});
    for (unsigned day = 0; day < 8; ++day) {
      if (weekdays[day]) weekdays_.set(day % 7);
    }
    every_hour_ = hours_.all();
    any_day_ = fields[2].starts_with('*');
    any_weekday_ = fields[4].starts_with('*');
    if (!next(sys_days(year(2000) / 1 / 1), TimeZone())) throw Bad{"there is no such day, so it never fires"};
  } catch (const Bad& bad) {
    throw std::invalid_argument(fmt::format("cron expression \"{}\": {}", expression.substr(0, 100), bad.why));
  }
}

bool Cron::matches(local_days day) const {
  const year_month_day date(day);
  if (!months_[static_cast<unsigned>(date.month())]) return false;
  const bool by_day = days_[static_cast<unsigned>(date.day())];
  const bool by_weekday = weekdays_[weekday(day).c_encoding()];
  return any_day_ || any_weekday_ ? by_day && by_weekday : by_day || by_weekday;
}

std::optional<sys_seconds> Cron::next(sys_seconds after, const TimeZone& zone) const {
  local_days day = floor<days>(local_seconds((after + zone.offset_at(after)).time_since_epoch())) - days(1);
  for (int i = 0; i <= kLongestGapDays + 2; ++i, day += days(1)) {
    if (!matches(day)) continue;
    if (const auto tick = next_on(day, after, zone)) return tick;
  }
  return std::nullopt;
}

std::optional<sys_seconds> Cron::next_on(local_days day, sys_seconds after, const TimeZone& zone) const {
  std::optional<sys_seconds> earliest;
  const auto consider = [&](const std::optional<sys_seconds>& moment) {
    if (moment && *moment > after && (!earliest || *moment < *earliest)) earliest = moment;
  };
  for (unsigned hour = 0; hour < 24; ++hour) {
    if (!hours_[hour]) continue;
    for (unsigned minute = 0; minute < 60; ++minute) {
      if (!minutes_[minute]) continue;
      const auto moments = zone.moments_of(day + hours(hour) + minutes(minute));
      consider(moments.first);
      if (every_hour_) consider(moments.second);
      if (!every_hour_) consider(moments.skipped);
    }
  }
  return earliest;
}

}  // namespace pronghorn::worker
