// The server's own log: one line per event, as text or JSON, to standard error or a file.
//
// Context: open_log() once per process before use; then any thread may write. Writing never blocks: lines that the
// destination does not take are buffered, then dropped and counted (common/line_writer.h). Lines are written whole, so
// processes share a file. Control characters and bytes that are not UTF-8 are escaped in both formats: no client can
// forge a line.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

namespace pronghorn {

class LogRing;  // common/crash_record.h

struct LogField {
  std::string_view name;
  std::string value;
  bool is_text = true;  // false: a number or a bool, written without quotes

  LogField(std::string_view field, std::string_view text) : name(field), value(text) {}
  LogField(std::string_view field, const char* text) : name(field), value(text) {}
  LogField(std::string_view field, const std::string& text) : name(field), value(text) {}
  template <class T>
    requires(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>)
  LogField(std::string_view field, T number) : name(field), value(std::to_string(number)), is_text(false) {}
  LogField(std::string_view field, std::string text, bool text_value)
      : name(field), value(std::move(text)), is_text(text_value) {}
};

enum class LogLevel { debug, info, warning, error };

struct LogOptions {
  std::string format = "text";  // text, json
  std::string level = "info";
  std::string file = "-";  // "-": standard error
  std::string process;     // named in every line: "supervisor", "worker 0"
};

// Throws std::runtime_error if an option is unknown or the file cannot be opened. Before the first call, lines go to
// standard error as text.
void open_log(const LogOptions& options);
// From now on copies every line to `ring`, even if the file cannot be written; null ends that. `unwritten`: holds the
// number of lines that would be lost uncounted if the process ended now; null: nobody counts. Both must outlive their
// use.
void copy_log_to(LogRing* ring, std::atomic<std::uint64_t>* unwritten = nullptr) noexcept;
// After a rotation: opens the file again by its name. If that fails, logs an error and keeps the old one.
void reopen_log() noexcept;
// Changes the level while the process runs. Throws std::runtime_error if it is unknown.
void set_log_level(const std::string& name);
// The same for a level that another process has sent: logs what is wrong with it.
void change_log_level(const std::string& name);

// Writes buffered lines, if the destination now accepts them. Call it a few times per second.
void flush_log() noexcept;
// Lines that this process has dropped since the last call.
[[nodiscard]] std::uint64_t take_dropped_log_lines() noexcept;

void write_log(LogLevel level, std::string_view message, const LogField* fields, std::size_t count) noexcept;
inline void write_log(LogLevel level, std::string_view message, std::initializer_list<LogField> fields = {}) noexcept {
  write_log(level, message, fields.begin(), fields.size());
}
inline void log_debug(std::string_view message, std::initializer_list<LogField> fields = {}) noexcept {
  write_log(LogLevel::debug, message, fields);
}
inline void log_info(std::string_view message, std::initializer_list<LogField> fields = {}) noexcept {
  write_log(LogLevel::info, message, fields);
}
inline void log_warning(std::string_view message, std::initializer_list<LogField> fields = {}) noexcept {
  write_log(LogLevel::warning, message, fields);
}
inline void log_error(std::string_view message, std::initializer_list<LogField> fields = {}) noexcept {
  write_log(LogLevel::error, message, fields);
}

}  // namespace pronghorn
