// Structured logging into the server's log. Each line carries the worker's slot and pid and the id of the running
// request.
//
//   log::info("order placed", {"order", id}, {"total", 12.5});
//
// Context: any thread. Lines written by offloaded work carry no request id.
#pragma once

#include <charconv>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "pronghorn/detail/export.h"

namespace pronghorn::log {

// A name and a value: `name=value` in text logs, a member in JSON logs. `name` must outlive the call that logs it.
struct Field {
  std::string_view name;
  std::string value;
  bool is_text = true;  // false: a number or a bool, written without quotes

  Field(std::string_view field, std::string_view text) : name(field), value(text) {}
  Field(std::string_view field, const char* text) : name(field), value(text) {}
  Field(std::string_view field, const std::string& text) : name(field), value(text) {}
  Field(std::string_view field, bool flag) : name(field), value(flag ? "true" : "false"), is_text(false) {}
  template <class T>
    requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
  Field(std::string_view field, T number) : name(field), value(std::to_string(number)), is_text(false) {}
  template <class T>
    requires(std::is_floating_point_v<T>)
  Field(std::string_view field, T number) : name(field), is_text(false) {
    char text[64];  // the shortest text that reads back as the same number
    value.assign(text, std::to_chars(text, text + sizeof text, number).ptr);
  }
};

enum class Level { debug, info, warning, error };

// Writes one line. Control characters in the message and in values are escaped, so that a client cannot forge a line.
PRONGHORN_API void write(Level level, std::string_view message, const Field* fields, std::size_t count);

namespace detail {

template <std::size_t>
using FieldAt = Field;

// Takes as many fields as there are numbers. The fields are not template parameters, because the compiler could not
// deduce their types from {"name", value}.
template <Level level, class Numbers>
struct WriteFields;
template <Level level, std::size_t... Number>
struct WriteFields<level, std::index_sequence<Number...>> {
  void operator()(std::string_view message, const FieldAt<Number>&... fields) const {
    if constexpr (sizeof...(Number) == 0) {
      write(level, message, nullptr, 0);
    } else {
      const Field all[] = {fields...};
      write(level, message, all, sizeof...(Number));
    }
  }
};

template <Level level, class Counts>
struct Writer;
template <Level level, std::size_t... Count>
struct Writer<level, std::index_sequence<Count...>> : WriteFields<level, std::make_index_sequence<Count>>... {
  using WriteFields<level, std::make_index_sequence<Count>>::operator()...;
  void operator()(std::string_view message, std::span<const Field> fields) const {
    write(level, message, fields.data(), fields.size());
  }
};

template <Level level>
using WriterOf = Writer<level, std::make_index_sequence<33>>;

}  // namespace detail

// Called with a message and up to 32 fields, or with a message and a span (or vector) of fields.
inline constexpr detail::WriterOf<Level::debug> debug;
inline constexpr detail::WriterOf<Level::info> info;
inline constexpr detail::WriterOf<Level::warning> warning;
inline constexpr detail::WriterOf<Level::error> error;

}  // namespace pronghorn::log
