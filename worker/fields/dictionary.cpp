#include "worker/fields/dictionary.h"

#include <algorithm>
#include <cstddef>

#include "worker/fields/characters.h"
#include "worker/fields/text.h"

namespace pronghorn::worker {
namespace {

constexpr std::size_t kIntegerDigits = 15;
constexpr std::size_t kDecimalDigits = 12;  // before the point
constexpr std::size_t kFractionDigits = 3;

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
bool is_alpha(char c) noexcept { return is_lower(lower(c)); }
bool is_in_key(char c) noexcept {
  return is_lower(c) || is_digit(c) || std::string_view("_-.*").find(c) != std::string_view::npos;
}
bool is_in_token(char c) noexcept { return is_token({&c, 1}) || c == ':' || c == '/'; }
bool is_base64(char c) noexcept { return is_alpha(c) || is_digit(c) || c == '+' || c == '/' || c == '='; }

// Removes the longest beginning of `text` whose characters all satisfy `is_part`.
template <class Test>
std::string_view take_all(std::string_view& text, Test is_part) noexcept {
  const auto end = std::find_if_not(text.begin(), text.end(), is_part);
  const std::string_view taken = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  text.remove_prefix(taken.size());
  return taken;
}

}  // namespace

bool DictionaryReader::take(char c) noexcept {
  if (!rest_.starts_with(c)) return false;
  rest_.remove_prefix(1);
  return true;
}

void DictionaryReader::skip_spaces() noexcept {
  take_all(rest_, [](char c) { return c == ' '; });
}

std::optional<DictionaryReader::Member> DictionaryReader::next() noexcept {
  if (malformed_ || rest_.empty()) return std::nullopt;
  Member member{.key = {}, .value = true};
  malformed_ = true;
  if (!take_key(member.key)) return std::nullopt;
  if (take('=')) {
    member.value = Other{};
    if (rest_.starts_with('(') ? !take_inner_list() : !take_item(member.value)) return std::nullopt;
  }
  if (!take_parameters() || !take_separator()) return std::nullopt;
  malformed_ = false;
  return member;
}

// A comma must be followed by a member.
bool DictionaryReader::take_separator() noexcept {
  take_all(rest_, is_blank);
  if (rest_.empty()) return true;
  if (!take(',')) return false;
  take_all(rest_, is_blank);
  return !rest_.empty();
}

bool DictionaryReader::take_key(std::string_view& key) noexcept {
  if (rest_.empty() || !(is_lower(rest_.front()) || rest_.front() == '*')) return false;
  key = take_all(rest_, is_in_key);
  return true;
}

bool DictionaryReader::take_parameters() noexcept {
  while (take(';')) {
    skip_spaces();
    std::string_view key;
    Value value;
    if (!take_key(key) || (take('=') && !take_item(value))) return false;
  }
  return true;
}

bool DictionaryReader::take_inner_list() noexcept {
  static_cast<void>(take('('));
  while (true) {
    skip_spaces();
    if (take(')')) return true;
    Value value;
    if (!take_item(value) || !take_parameters()) return false;
    if (!rest_.starts_with(' ') && !rest_.starts_with(')')) return false;
  }
}

bool DictionaryReader::take_item(Value& value) noexcept {
  value = Other{};
  if (rest_.empty()) return false;
  const char first = rest_.front();
  if (first == '"') return take_string();
  if (first == ':') return take_bytes();
  if (take('?')) {
    value = rest_.starts_with('1');
    return take('0') || take('1');
  }
  if (first == '*' || is_alpha(first)) {
    take_all(rest_, is_in_token);
    return true;
  }
  return take_number(value);
}

bool DictionaryReader::take_number(Value& value) noexcept {
  const bool negative = take('-');
  const std::string_view digits = take_all(rest_, is_digit);
  if (digits.empty()) return false;
  if (take('.')) {
    const std::size_t fraction = take_all(rest_, is_digit).size();
    return digits.size() <= kDecimalDigits && fraction >= 1 && fraction <= kFractionDigits;
  }
  if (digits.size() > kIntegerDigits) return false;
  std::int64_t number = 0;
  for (const char c : digits) number = number * 10 + (c - '0');
  value = negative ? -number : number;
  return true;
}

bool DictionaryReader::take_string() noexcept {
  rest_.remove_prefix(1);
  while (!rest_.empty()) {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (c == '"') return true;
    if (c < 0x20 || c > 0x7e) return false;
    if (c == '\\' && !take('"') && !take('\\')) return false;
  }
  return false;
}

bool DictionaryReader::take_bytes() noexcept {
  rest_.remove_prefix(1);
  take_all(rest_, is_base64);
  return take(':');
}

}  // namespace pronghorn::worker
