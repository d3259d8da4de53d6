// Text tables of JSON: what `pronghorn status` and the lists of other commands are printed with.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace pronghorn::server {

// The member at a path of names; null if there is none.
[[nodiscard]] const nlohmann::json& at(const nlohmann::json& value, std::initializer_list<const char*> path);

// Zero if it is no number.
[[nodiscard]] double number_of(const nlohmann::json& value);

// What a cell shows. A value of another type, or none, shows as "-". Control characters are escaped.
[[nodiscard]] std::string text_of(const nlohmann::json& value);
[[nodiscard]] std::string short_count(const nlohmann::json& value);  // with a unit if it is long: 950, 12.3k, 4.5M
[[nodiscard]] std::string rate(const nlohmann::json& value);
[[nodiscard]] std::string bytes(const nlohmann::json& value);
[[nodiscard]] std::string uptime(const nlohmann::json& value);  // from seconds: 12s, 3m05s, 4h10m, 2d03h
[[nodiscard]] std::string milliseconds(const nlohmann::json& value);
[[nodiscard]] std::string percent(double share);  // of 100

// At most 60 columns: a longer text ends in an ellipsis. Text is UTF-8; each code point counts as a column.
[[nodiscard]] std::string cut(std::string text);

// Aligns columns. The first row is the heading; a column is text if its heading begins with '<', else numbers. Each row
// must have as many cells as the heading.
class Table {
 public:
  explicit Table(std::vector<std::string> headings) : rows_{std::move(headings)} {}
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  [[nodiscard]] bool empty() const { return rows_.size() == 1; }
  // Lines, each with a line feed. Each column is indented by two spaces.
  [[nodiscard]] std::string render() const;

 private:
  [[nodiscard]] bool is_text(std::size_t column) const { return rows_.front()[column].starts_with('<'); }
  [[nodiscard]] std::string cell(std::size_t row, std::size_t column) const;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace pronghorn::server
