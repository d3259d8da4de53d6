// Dictionaries of structured fields (RFC 8941 section 3.2), as Priority is one.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

namespace pronghorn::worker {

// Reads the members of a dictionary in their order. Of several members with one key the last one counts.
//
// Errors: a field that is malformed anywhere must be ignored as a whole (section 4.2), so members that were read count
//         only if malformed() is false at the end.
class DictionaryReader {
 public:
  struct Other {};  // a value of a type that nobody has needed: a decimal, string, token, byte sequence or inner list
  using Value = std::variant<Other, std::int64_t, bool>;
  struct Member {
    std::string_view key;
    Value value;  // without its parameters
  };

  explicit DictionaryReader(std::string_view field) noexcept : rest_(field) { skip_spaces(); }

  // nullopt at the end, and where the field is malformed.
  [[nodiscard]] std::optional<Member> next() noexcept;
  [[nodiscard]] bool malformed() const noexcept { return malformed_; }

 private:
  [[nodiscard]] bool take(char c) noexcept;
  void skip_spaces() noexcept;
  [[nodiscard]] bool take_separator() noexcept;
  [[nodiscard]] bool take_key(std::string_view& key) noexcept;
  [[nodiscard]] bool take_parameters() noexcept;
  [[nodiscard]] bool take_inner_list() noexcept;
  [[nodiscard]] bool take_item(Value& value) noexcept;
  [[nodiscard]] bool take_number(Value& value) noexcept;
  [[nodiscard]] bool take_string() noexcept;
  [[nodiscard]] bool take_bytes() noexcept;

  std::string_view rest_;
  bool malformed_ = false;
};

}  // namespace pronghorn::worker
