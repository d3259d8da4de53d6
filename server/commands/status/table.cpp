#include "server/commands/status/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "common/text/columns.h"
#include "common/text/json_text.h"
#include "common/text/utf8.h"
#include "server/options/values/values.h"

namespace pronghorn::server {
namespace {

using nlohmann::json;

constexpr std::size_t kLongestText = 60;

}  // namespace

const json& at(const json& value, std::initializer_list<const char*> path) {
  static const json kNothing;
  const json* found = &value;
  for (const char* name : path) {
    const auto member = found->is_object() ? found->find(name) : found->end();
    if (!found->is_object() || member == found->end()) return kNothing;
    found = &*member;
  }
  return *found;
}

double number_of(const json& value) { return value.is_number() ? value.get<double>() : 0; }

std::string text_of(const json& value) {
  if (value.is_string() && !value.get_ref<const std::string&>().empty()) return printable(value.get<std::string>());
  if (value.is_number_float()) return fmt::format("{:.1f}", value.get<double>());
  if (value.is_number()) return dump_json(value);
  return "-";
}

std::string short_count(const json& value) {
  if (!value.is_number()) return "-";
  const double number = number_of(value);
  if (number < 10'000) return fmt::format("{:.0f}", number);
  if (number < 10'000'000) return fmt::format("{:.1f}k", number / 1e3);
  return fmt::format("{:.1f}M", number / 1e6);
}

std::string rate(const json& value) {
  if (!value.is_number()) return "-";
  const double number = number_of(value);
  return number < 100 ? fmt::format("{:.1f}", number) : short_count(value);
}

std::string bytes(const json& value) {
  if (!value.is_number()) return "-";
  const double number = number_of(value);
  if (number < 1024) return fmt::format("{:.0f}B", number);
  if (number < 1024.0 * 1024) return fmt::format("{:.1f}K", number / 1024);
  if (number < 1024.0 * 1024 * 1024) return fmt::format("{:.1f}M", number / 1024 / 1024);
  return fmt::format("{:.1f}G", number / 1024 / 1024 / 1024);
}

std::string uptime(const json& value) {
  if (!value.is_number()) return "-";
  const auto seconds = static_cast<long long>(number_of(value));
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  if (seconds < 86'400) return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d{:02}h", seconds / 86'400, seconds / 3600 % 24);
}

std::string milliseconds(const json& value) {
  if (!value.is_number()) return "-";
  const double number = number_of(value);
  return number < 10 ? fmt::format("{:.2f}", number) : fmt::format("{:.0f}", number);
}

std::string percent(double share) { return fmt::format("{:.0f}%", share); }

std::string cut(std::string text) {
  if (column_count(text) <= kLongestText) return text;
  std::size_t end = 0;
  for (std::size_t column = 0; column + 1 < kLongestText; ++column) {
    end += std::max<std::size_t>(1, utf8_sequence(std::string_view(text).substr(end)));
  }
  return text.substr(0, end) + "…";
}

std::string Table::render() const {
  std::vector<std::size_t> widths(rows_.front().size());
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], column_count(cell(row, i)));
  }
  std::string out;
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    std::string line;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const std::string padding(widths[i] - column_count(cell(row, i)), ' ');
      line += "  " + (is_text(i) ? cell(row, i) + padding : padding + cell(row, i));
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
  }
  return out;
}

std::string Table::cell(std::size_t row, std::size_t column) const {
  return row == 0 && is_text(column) ? rows_[0][column].substr(1) : rows_[row][column];
}

}  // namespace pronghorn::server
