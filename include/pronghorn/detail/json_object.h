// JSON objects of plain values, as most responses are: {"visits":7}. Written as text at once, without a tree of values.
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>

namespace pronghorn::detail {

template <class T>
concept JsonText = std::same_as<std::decay_t<T>, std::string> || std::same_as<std::decay_t<T>, std::string_view> ||
                   std::same_as<std::decay_t<T>, const char*> || std::same_as<std::decay_t<T>, char*>;
template <class T>
concept JsonInteger =
    std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> && !std::same_as<T, wchar_t> &&
    !std::same_as<T, char8_t> && !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;
// Of other values (arrays, objects, doubles) nlohmann-json makes the text.
template <class T>
concept PlainJson = JsonText<T> || JsonInteger<T> || std::same_as<T, bool>;

// As nlohmann-json writes it: bytes that are not UTF-8 become U+FFFD.
inline void append_json_string(std::string& output, std::string_view text) {
  for (const unsigned char c : text) {
    if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') {
      output += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
      return;
    }
  }
  output.append(1, '"').append(text).append(1, '"');
}

// One member of such an object. Refers to its name and its text.
class JsonMember {
 public:
  // Templates, so that nothing is converted to text or to a number that nlohmann-json would take for something else.
  template <JsonText Name, PlainJson Value>
  JsonMember(const Name& name, const Value& value) : name_(name) {
    if constexpr (JsonText<Value>) {
      kind_ = Kind::string;
      text_ = value;
    } else if constexpr (std::same_as<Value, bool>) {
      text_ = value ? "true" : "false";
    } else {
      text_ = {digits_.data(), std::to_chars(digits_.data(), digits_.data() + digits_.size(), value).ptr};
    }
  }
  JsonMember(const JsonMember&) = delete;
  JsonMember& operator=(const JsonMember&) = delete;

  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  void append_to(std::string& output) const {
    append_json_string(output, name_);
    output += ':';
    if (kind_ == Kind::string) {
      append_json_string(output, text_);
    } else {
      output += text_;
    }
  }

 private:
  enum class Kind { literal, string };
  std::string_view name_;
  std::string_view text_;
  Kind kind_ = Kind::literal;
  std::array<char, 20> digits_{};  // what text_ of a number refers to
};

// In the order of the names, and with the first of equal ones, as nlohmann-json does it. An empty list is null.
inline std::string json_object_text(std::initializer_list<JsonMember> members) {
  if (members.size() == 0) return "null";
  std::string text = "{";
  const JsonMember* last = nullptr;
  for (std::size_t written = 0; written < members.size(); ++written) {
    const JsonMember* next = nullptr;
    for (const JsonMember& each : members) {
      const bool is_left = last == nullptr || last->name() < each.name();
      if (is_left && (next == nullptr || each.name() < next->name())) next = &each;
    }
    if (next == nullptr) break;
    if (last != nullptr) text += ',';
    next->append_to(text);
    last = next;
  }
  return text += '}';
}

}  // namespace pronghorn::detail
