#include "common/log_format.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <nlohmann/json.hpp>

#include "common/text/controls.h"
#include "common/text/utf8.h"

namespace pronghorn {
namespace {

enum class Escaping { plain, quoted, json };

void append_hex(std::string& out, std::string_view prefix, unsigned char byte) {
  out += prefix;
  fmt::format_to(std::back_inserter(out), "{:02x}", byte);
}

void append_ascii(std::string& out, char character, Escaping escaping) {
  const auto byte = static_cast<unsigned char>(character);
  const bool quotes = escaping != Escaping::plain;
  if (character == '\\' || (character == '"' && quotes)) {
    out += '\\';
    out += character;
  } else if (character == '\n') {
    out += "\\n";
  } else if (character == '\r') {
    out += "\\r";
  } else if (character == '\t') {
    out += "\\t";
  } else if (byte < 0x20 || byte == 0x7F) {
    append_hex(out, escaping == Escaping::json ? "\\u00" : "\\x", byte);
  } else {
    out += character;
  }
}

void append_escaped(std::string& out, std::string_view text, Escaping escaping) {
  while (!text.empty()) {
    const std::size_t length = utf8_sequence(text);
    if (length == 0) {
      append_hex(out, escaping == Escaping::json ? "\\\\x" : "\\x", static_cast<unsigned char>(text.front()));
      text.remove_prefix(1);
      continue;
    }
    const std::string_view sequence = text.substr(0, length);
    if (length == 1) {
      append_ascii(out, text.front(), escaping);
    } else if (const char32_t character = utf8_character(sequence); is_control(character)) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<std::uint32_t>(character));
    } else {
      out += sequence;
    }
    text.remove_prefix(length);
  }
}

bool needs_quotes(std::string_view value) noexcept {
  return value.empty() || std::any_of(value.begin(), value.end(), [](char c) {
           return c == ' ' || c == '"' || c == '=' || c == '\\' || static_cast<unsigned char>(c) < 0x20 ||
                  static_cast<unsigned char>(c) >= 0x7F;
         });
}

// Applications choose some of the names: none may look like a value or another field.
void append_name(std::string& out, std::string_view name) {
  for (const char c : name) {
    const bool safe = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '-';
    out += safe ? c : '_';
  }
}

// std::to_string() writes "inf" and "nan", which are not JSON.
bool is_json_number_or_bool(std::string_view value) {
  if (value == "true" || value == "false") return true;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return !value.empty() && (digit(value.front()) || value.front() == '-') && digit(value.back()) &&
         nlohmann::json::accept(value);
}

void append_json_text(std::string& out, std::string_view text) {
  out += '"';
  append_escaped(out, text, Escaping::json);
  out += '"';
}

struct LevelText {
  std::string_view name, padded, coloured;
};

const LevelText& level_text(LogLevel level) noexcept {
  static constexpr std::array<LevelText, 4> kLevels{{
      {"debug", "debug", "\x1b[2mdebug\x1b[0m"},
      {"info", "info ", "\x1b[32minfo\x1b[0m "},
      {"warning", "warn ", "\x1b[33mwarn\x1b[0m "},
      {"error", "error", "\x1b[31merror\x1b[0m"},
  }};
  return kLevels[std::min(static_cast<std::size_t>(level), kLevels.size() - 1)];
}

}  // namespace

std::string_view to_string(LogLevel level) noexcept { return level_text(level).name; }

std::string rfc3339(long long seconds_since_1970, int milliseconds) {
  const auto seconds = static_cast<time_t>(seconds_since_1970);
  tm utc{};
  if (::gmtime_r(&seconds, &utc) == nullptr) return "1970-01-01T00:00:00Z";
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                                 utc.tm_hour, utc.tm_min, utc.tm_sec);
  if (milliseconds >= 0) fmt::format_to(std::back_inserter(text), ".{:03}", milliseconds);
  return text + 'Z';
}

std::string log_line_text(const LogEvent& event, bool colour) {
  const LevelText& level = level_text(event.level);
  std::string line =
      fmt::format("{} {} {}[{}] ", event.time, colour ? level.coloured : level.padded, event.process, event.pid);
  append_escaped(line, event.message, Escaping::plain);
  for (std::size_t i = 0; i < event.field_count; ++i) {
    const LogField& field = event.fields[i];
    line += ' ';
    append_name(line, field.name);
    line += '=';
    if (needs_quotes(field.value)) {
      line += '"';
      append_escaped(line, field.value, Escaping::quoted);
      line += '"';
    } else {
      line += field.value;
    }
  }
  line += '\n';
  return line;
}

std::string log_line_json(const LogEvent& event) {
  static constexpr std::array<std::string_view, 5> kOwn{"time", "level", "process", "pid", "message"};
  std::string line = fmt::format(R"({{"time":"{}","level":"{}","process":)", event.time, level_text(event.level).name);
  append_json_text(line, event.process);
  fmt::format_to(std::back_inserter(line), R"(,"pid":{},"message":)", event.pid);
  append_json_text(line, event.message);
  for (std::size_t i = 0; i < event.field_count; ++i) {
    const LogField& field = event.fields[i];
    line += ",\"";
    append_escaped(line, field.name, Escaping::json);
    if (std::find(kOwn.begin(), kOwn.end(), field.name) != kOwn.end()) line += '_';
    line += "\":";
    if (!field.is_text && is_json_number_or_bool(field.value)) {
      line += field.value;
    } else {
      append_json_text(line, field.value);
    }
  }
  line += "}\n";
  return line;
}

}  // namespace pronghorn
