// Text in columns: how lists are printed on a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pronghorn {

// The columns that UTF-8 text takes: each code point counts as one.
[[nodiscard]] std::size_t column_count(std::string_view text) noexcept;

// Each row as a line with a line feed. Columns are as wide as their longest cell, and two blanks apart; no line ends in
// blanks. Every row must have as many cells as the first.
[[nodiscard]] std::string in_columns(const std::vector<std::vector<std::string>>& rows);

}  // namespace pronghorn
