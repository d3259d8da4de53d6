// Structured logging into the server's log, with the worker's slot and pid and the id of the running request.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>

#include "pronghorn/detail/export.h"

namespace pronghorn::log {

// A name and a value. In text logs `name=value`, in JSON logs a member.
struct Field {
  std::string_view name;
  std::string value;
  bool is_text = true;  // false: a number or a bool, written without quotes

  Field() = default;
  Field(std::string_view field, std::string_view text) : name(field), value(text) {}
  Field(std::string_view field, const char* text) : name(field), value(text) {}
  Field(std::string_view field, const std::string& text) : name(field), value(text) {}
  Field(std::string_view field, bool flag) : name(field), value(flag ? "true" : "false"), is_text(false) {}
  template <class T>
    requires(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>)
  Field(std::string_view field, T number) : name(field), value(std::to_string(number)), is_text(false) {}
};

enum class Level { debug, info, warning, error };

// Writes one line. Safe from the loop and from offloaded work. Control characters in `message` and in values are
// escaped, so a client cannot forge a line.
PRONGHORN_API void write(Level level, std::string_view message, const Field* fields, std::size_t count);

namespace detail {
// The leading fields that have a name.
template <std::size_t N>
void write_named(Level level, std::string_view message, const Field (&fields)[N]) {
  std::size_t count = 0;
  while (count < N && !fields[count].name.empty()) ++count;
  write(level, message, fields, count);
}
}  // namespace detail

// log::info("order placed", {"order", id}, {"total", 12.5})
inline void debug(std::string_view message, const Field& a = {}, const Field& b = {}, const Field& c = {},
                  const Field& d = {}, const Field& e = {}, const Field& f = {}) {
  detail::write_named(Level::debug, message, {a, b, c, d, e, f});
}
inline void info(std::string_view message, const Field& a = {}, const Field& b = {}, const Field& c = {},
                 const Field& d = {}, const Field& e = {}, const Field& f = {}) {
  detail::write_named(Level::info, message, {a, b, c, d, e, f});
}
inline void warning(std::string_view message, const Field& a = {}, const Field& b = {}, const Field& c = {},
                    const Field& d = {}, const Field& e = {}, const Field& f = {}) {
  detail::write_named(Level::warning, message, {a, b, c, d, e, f});
}
inline void error(std::string_view message, const Field& a = {}, const Field& b = {}, const Field& c = {},
                  const Field& d = {}, const Field& e = {}, const Field& f = {}) {
  detail::write_named(Level::error, message, {a, b, c, d, e, f});
}

}  // namespace pronghorn::log
