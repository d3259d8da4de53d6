#include "server/options/config_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <sstream>

#include "common/fd.h"
#include "server/options/values/values.h"

namespace pronghorn::server {
namespace {

constexpr std::size_t kMaxFile = 1 << 20;

// "--config /dev/null" means no file. Other devices, and pipes, may block whoever reads them, or never end.
bool is_null_device(const struct stat& facts) noexcept {
  return S_ISCHR(facts.st_mode) && facts.st_rdev == makedev(1, 3);
}

std::optional<std::string> scalar_text(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto number = node.value_exact<std::int64_t>()) return std::to_string(*number);
  if (const auto number = node.value_exact<double>()) return fmt::format("{}", *number);
  if (const auto truth = node.value_exact<bool>()) return *truth ? "true" : "false";
  if (node.is_table() || node.is_array()) return std::nullopt;
  std::ostringstream date;
  node.visit([&](const auto& value) {
    using Value = std::remove_cvref_t<decltype(value)>;
    if constexpr (toml::is_date<Value> || toml::is_time<Value> || toml::is_date_time<Value>) date << value.get();
  });
  return date.str();
}

// As an option has it: an octal number stays one, because only that of unix_mode is written so.
std::optional<std::string> option_text(const toml::node& node) {
  const toml::value<std::int64_t>* const number = node.as_integer();
  constexpr auto kBases = toml::value_flags::format_as_hexadecimal;  // has the bits of octal and binary
  if (number == nullptr || (number->flags() & kBases) != toml::value_flags::format_as_octal) return scalar_text(node);
  return fmt::format("0o{:o}", number->get());
}

FileValue read_value(const toml::key& key, const toml::node& node) {
  FileValue value{.key = std::string(key.str()),
                  .values = {},
                  .is_table = node.is_table() || node.is_array_of_tables(),
                  .problem = {},
                  .line = key.source().begin.line};
  if (const toml::array* array = node.as_array()) {
    for (const toml::node& element : *array) {
      const auto text = option_text(element);
      if (!text) value.problem = "a list holds text and numbers, not lists or tables";
      value.values.push_back(text.value_or(""));
    }
  } else if (const auto text = option_text(node)) {
    value.values.push_back(*text);
  } else {
    value.problem = "it is a table and should be a value";
  }
  return value;
}

void read_app_settings(const toml::node& node, const std::string& path, ConfigFile& file) {
  const toml::table* table = node.as_table();
  if (table == nullptr) {
    throw UsageError(fmt::format(
        "{}:{}: app: it is the table of the application's settings, [app]; the application itself is an argument: "
        "pronghorn serve APP.so",
        path, node.source().begin.line));
  }
  for (const auto& [key, value] : *table) {
    const auto text = scalar_text(value);
    if (!text) {
      throw UsageError(fmt::format("{}:{}: app.{}: a setting is text, a number or true/false, not a list or table",
                                   path, key.source().begin.line, std::string_view(key)));
    }
    file.app_settings.emplace(key.str(), *text);
  }
}

[[noreturn]] void cannot_read(const std::string& path, const char* why) {
  throw UsageError(fmt::format("cannot read the configuration file {}: {}", path, why));
}

}  // namespace

ConfigFile parse_config(const std::string& text, const std::string& path) {
  toml::table table;
  try {
    table = toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    const auto& where = error.source().begin;
    throw UsageError(fmt::format("{}:{}:{}: {}", path, where.line, where.column, error.description()));
  }
  ConfigFile file;
  for (const auto& [key, node] : table) {
    if (key.str() == "app") {
      read_app_settings(node, path, file);
    } else {
      file.values.push_back(read_value(key, node));
    }
  }
  std::stable_sort(file.values.begin(), file.values.end(),
                   [](const FileValue& a, const FileValue& b) { return a.line < b.line; });
  return file;
}

ConfigFile read_config_file(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat facts{};
  if (!fd || ::fstat(fd.get(), &facts) != 0) cannot_read(path, std::strerror(errno));
  if (S_ISDIR(facts.st_mode)) cannot_read(path, std::strerror(EISDIR));
  if (!S_ISREG(facts.st_mode) && !is_null_device(facts)) cannot_read(path, "it is not a regular file");
  std::string text;
  std::array<char, 16'384> buffer{};
  ssize_t count = 0;
  while (text.size() <= kMaxFile && (count = ::read(fd.get(), buffer.data(), buffer.size())) > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  if (count < 0) cannot_read(path, std::strerror(errno));
  if (text.size() > kMaxFile) cannot_read(path, "it is larger than 1 MiB");
  ConfigFile file = parse_config(text, path);
  file.is_blank = text.find_first_not_of(" \t\r\n") == std::string::npos;
  return file;
}

}  // namespace pronghorn::server
