#include "worker/state/jobs/times/time_zone.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <stdexcept>

namespace pronghorn::worker {
namespace {

using namespace std::chrono;

constexpr std::size_t kLargestFile = 1 << 20;

struct Invalid : std::runtime_error {
  Invalid() : std::runtime_error("its file is invalid") {}
};

bool is_zone_name(std::string_view name) {
  if (name.empty() || name.size() > 100 || name.front() == '/' || name.find("..") != std::string_view::npos)
    return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/_-+.").find(c) != std::string_view::npos;
  });
}

// Takes big-endian numbers from the front of the bytes.
class Reader {
 public:
  explicit Reader(std::string_view bytes) noexcept : bytes_(bytes) {}

  std::string_view take(std::size_t size) {
    if (size > bytes_.size()) throw Invalid();
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  std::uint64_t number(std::size_t size) {
    std::uint64_t value = 0;
    for (const char byte : take(size)) value = value << 8 | static_cast<unsigned char>(byte);
    return value;
  }
  [[nodiscard]] std::string_view rest() const noexcept { return bytes_; }

 private:
  std::string_view bytes_;
};

struct Counts {
  std::size_t universal, standard, leaps, times, types, characters;
};

Counts read_header(Reader& file) {
  if (file.take(4) != "TZif") throw Invalid();
  if (file.number(1) < '2') throw Invalid();  // version 1 has no rules and ends in 2038
  file.take(15);
  Counts counts{};
  for (std::size_t* count :
       {&counts.universal, &counts.standard, &counts.leaps, &counts.times, &counts.types, &counts.characters}) {
    *count = static_cast<std::size_t>(file.number(4));
    if (*count > kLargestFile) throw Invalid();
  }
  return counts;
}

// The text after the last transition, as in the variable TZ (POSIX).
class Footer {
 public:
  explicit Footer(std::string_view text) noexcept : text_(text) {}

  [[nodiscard]] bool done() const noexcept { return text_.empty(); }
  bool skip(char expected) {
    if (text_.empty() || text_.front() != expected) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char expected) {
    if (!skip(expected)) throw Invalid();
  }
  void name() {
    if (skip('<')) {
      while (!skip('>')) drop();
      return;
    }
    std::size_t size = 0;
    while (size < text_.size() && ((text_[size] | 0x20) >= 'a' && (text_[size] | 0x20) <= 'z')) ++size;
    if (size < 3) throw Invalid();
    text_.remove_prefix(size);
  }
  int number(int most) {
    int value = 0;
    std::size_t size = 0;
    for (; size < text_.size() && text_[size] >= '0' && text_[size] <= '9' && value <= most; ++size) {
      value = value * 10 + (text_[size] - '0');
    }
    if (size == 0 || value > most) throw Invalid();
    text_.remove_prefix(size);
    return value;
  }
  seconds time() {
    const bool negative = skip('-');
    if (!negative) skip('+');
    seconds value = hours(number(167));
    if (skip(':')) value += minutes(number(59));
    if (skip(':')) value += seconds(number(59));
    return negative ? -value : value;
  }
  [[nodiscard]] bool at(char c) const noexcept { return !text_.empty() && text_.front() == c; }
  ZoneRule rule() {
    ZoneRule rule;
    if (skip('M')) {
      rule.kind = ZoneRule::Kind::week_of_month;
      rule.month = number(12);
      expect('.');
      rule.week = number(5);
      expect('.');
      rule.weekday = number(6);
      if (rule.month == 0 || rule.week == 0) throw Invalid();
    } else {
      rule.kind = skip('J') ? ZoneRule::Kind::day_without_leap : ZoneRule::Kind::day;
      rule.day = number(365);
    }
    rule.time = skip('/') ? time() : seconds(hours(2));
    return rule;
  }

 private:
  void drop() {
    if (text_.empty()) throw Invalid();
    text_.remove_prefix(1);
  }
  std::string_view text_;
};

local_seconds moment_in(const ZoneRule& rule, year in) {
  local_days day{};
  if (rule.kind == ZoneRule::Kind::week_of_month) {
    const month of(static_cast<unsigned>(rule.month));
    const weekday on(static_cast<unsigned>(rule.weekday));
    day = rule.week == 5 ? local_days(in / of / on[last]) : local_days(in / of / on[static_cast<unsigned>(rule.week)]);
  } else {
    day = local_days(in / January / 1);
    int number = rule.day;
    if (rule.kind == ZoneRule::Kind::day_without_leap) number = number - 1 + (in.is_leap() && number >= 60 ? 1 : 0);
    day += days(number);
  }
  return local_seconds(day) + rule.time;
}

std::string read_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  std::string bytes;
  if (!file) return bytes;
  bytes.resize(kLargestFile);
  bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file.get()));
  return bytes;
}

}  // namespace

TimeZone TimeZone::load(std::string_view name) {
  if (name == "UTC") return {};
  const char* const directory = std::getenv("TZDIR");
  const std::string path = std::string(directory != nullptr && *directory != '\0' ? directory : "/usr/share/zoneinfo") +
                           "/" + std::string(name);
  const std::string bytes = is_zone_name(name) ? read_file(path) : std::string();
  if (bytes.empty()) {
    throw std::invalid_argument(
        fmt::format("time zone \"{}\" is unknown: use a name such as \"Europe/Berlin\", and install the package tzdata",
                    name.substr(0, 100)));
  }
  try {
    return parse(bytes);
  } catch (const Invalid&) {
    throw std::invalid_argument(fmt::format("time zone \"{}\": {} is not a time zone file", name, path));
  }
}

TimeZone TimeZone::parse(std::string_view bytes) {
  Reader file(bytes);
  const Counts old = read_header(file);
  file.take(old.times * 5 + old.types * 6 + old.characters + old.leaps * 8 + old.standard + old.universal);
  const Counts counts = read_header(file);
  TimeZone zone;
  for (std::size_t i = 0; i < counts.times; ++i) {
    zone.changes_.push_back(static_cast<std::int64_t>(file.number(8)));
    if (i > 0 && zone.changes_[i] <= zone.changes_[i - 1]) throw Invalid();
  }
  const std::string_view indices = file.take(counts.times);
  std::vector<std::int32_t> types;
  for (std::size_t i = 0; i < counts.types; ++i) {
    types.push_back(static_cast<std::int32_t>(file.number(4)));
    if (std::abs(types.back()) > 26 * 3600) throw Invalid();
    file.take(2);
  }
  if (types.empty()) throw Invalid();
  zone.first_offset_ = types.front();
  for (const char index : indices) {
    const auto type = static_cast<unsigned char>(index);
    if (type >= types.size()) throw Invalid();
    zone.offsets_.push_back(types[type]);
  }
  file.take(counts.characters + counts.leaps * 12 + counts.standard + counts.universal);
  const std::string_view rest = file.rest();
  if (rest.empty() || rest.front() != '\n') throw Invalid();
  const std::size_t end = rest.find('\n', 1);
  if (end == std::string_view::npos) throw Invalid();
  if (end > 1) zone.parse_footer(rest.substr(1, end - 1));
  return zone;
}

// In POSIX, offsets count to the west.
void TimeZone::parse_footer(std::string_view text) {
  Footer footer(text);
  footer.name();
  standard_ = -footer.time();
  has_rules_ = true;
  if (footer.done()) return;
  Daylight daylight;
  footer.name();
  daylight.offset = footer.done() || footer.at(',') ? standard_ + hours(1) : -footer.time();
  footer.expect(',');
  daylight.begin = footer.rule();
  footer.expect(',');
  daylight.end = footer.rule();
  if (!footer.done()) throw Invalid();
  daylight_ = daylight;
}

seconds TimeZone::offset_by_rules(sys_seconds when) const {
  if (!daylight_) return standard_;
  const year_month_day date(floor<days>(when + standard_));
  const sys_seconds begin{(moment_in(daylight_->begin, date.year()) - standard_).time_since_epoch()};
  const sys_seconds end{(moment_in(daylight_->end, date.year()) - daylight_->offset).time_since_epoch()};
  const bool summer = begin < end ? when >= begin && when < end : when >= begin || when < end;
  return summer ? daylight_->offset : standard_;
}

seconds TimeZone::offset_at(sys_seconds when) const {
  const auto after = std::ranges::upper_bound(changes_, when.time_since_epoch().count());
  if (after == changes_.end() && has_rules_) return offset_by_rules(when);
  if (after == changes_.begin()) return seconds(first_offset_);
  return seconds(offsets_[static_cast<std::size_t>(after - changes_.begin()) - 1]);
}

// No zone changes its clocks twice within two days.
TimeZone::Moments TimeZone::moments_of(local_seconds local) const {
  const sys_seconds as_utc{local.time_since_epoch()};
  sys_seconds before = as_utc - hours(27);
  sys_seconds after = as_utc + hours(27);
  const seconds old_offset = offset_at(before);
  const seconds new_offset = offset_at(after);
  Moments moments;
  for (const seconds offset : {old_offset, new_offset}) {
    const sys_seconds candidate = as_utc - offset;
    if (offset_at(candidate) != offset || moments.first == candidate) continue;
    (moments.first ? moments.second : moments.first) = candidate;
  }
  if (moments.second && *moments.second < *moments.first) std::swap(moments.first, moments.second);
  if (moments.first) return moments;
  while (after - before > seconds(1)) {
    const sys_seconds middle = before + (after - before) / 2;
    (offset_at(middle) == old_offset ? before : after) = middle;
  }
  moments.skipped = after;
  return moments;
}

}  // namespace pronghorn::worker
