// The kinds of options: how each parses and shows its value. Only for the table in options.cpp.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/access_log_pattern.h"
#include "common/config/networks.h"
#include "common/config/redis_url.h"
#include "server/options/options.h"
#include "server/options/values/suggest.h"
#include "server/options/values/values.h"

namespace pronghorn::server::kinds {

using Values = std::vector<std::string>;

inline constexpr Milliseconds kYear{365LL * 24 * 3'600'000};

// Where in Config an option lives: a field of its own or of `http`.
template <class T>
class Field {
 public:
  // NOLINTBEGIN(google-explicit-constructor): the table below passes plain member pointers
  Field(T Config::* member) : own_(member) {}
  Field(T HttpLimits::* member) : http_(member) {}
  // NOLINTEND(google-explicit-constructor)
  T& of(Config& config) const { return own_ != nullptr ? config.*own_ : config.http.*http_; }
  const T& of(const Config& config) const { return own_ != nullptr ? config.*own_ : config.http.*http_; }

 private:
  T Config::* own_ = nullptr;
  T HttpLimits::* http_ = nullptr;
};

// What the table says about every option.
struct Entry {
  const char* name;
  std::string_view group;
  std::string_view help;
  std::string_view weak_variable = {};
};

template <class Set, class Show>
Option make(const Entry& entry, std::string_view value_name, Set set, Show show) {
  Option option{.name = entry.name,
                .group = entry.group,
                .value_name = value_name,
                .help = entry.help,
                .weak_variable = entry.weak_variable,
                .is_list = false,
                .default_text = {},
                .set = [set](Config& config, const Values& values) { set(config, values.at(0)); },
                .show = show};
  const Config defaults;
  option.default_text = option.show(defaults);
  return option;
}

inline Option duration(const Entry& entry, Field<Milliseconds> field, Milliseconds min = Milliseconds(0)) {
  const auto set = [field, min](Config& config, const std::string& text) {
    const Milliseconds value = parse_duration(text);
    if (value < min || value > kYear) {
      throw BadValue(fmt::format("{} is out of range; use {} to {}", in_quotes(text), format_duration(min),
                                 format_duration(kYear)));
    }
    field.of(config) = value;
  };
  return make(entry, "DURATION", set, [field](const Config& config) { return format_duration(field.of(config)); });
}

struct Range {
  std::uint64_t min;
  std::uint64_t max;
  bool or_zero = false;  // 0 is allowed too
};

template <class T, class Owner>
Option size(const Entry& entry, T Owner::* member, Range range) {
  const Field<T> field(member);
  const auto set = [field, range](Config& config, const std::string& text) {
    const std::uint64_t value = parse_size(text);
    const bool is_allowed_zero = range.or_zero && value == 0;
    if (!is_allowed_zero && (value < range.min || value > range.max)) {
      throw BadValue(fmt::format("{} is out of range; use {}{} to {}", in_quotes(text), range.or_zero ? "0, or " : "",
                                 format_size(range.min), format_size(range.max)));
    }
    field.of(config) = static_cast<T>(value);
  };
  return make(entry, "SIZE", set, [field](const Config& config) { return format_size(field.of(config)); });
}

template <class Member>
Option count(const Entry& entry, Member member, Range range) {
  const Field<std::uint32_t> field(member);
  const auto set = [field, range](Config& config, const std::string& text) {
    std::uint64_t value = 0;
    try {
      value = parse_count(text);
    } catch (const BadValue& error) {
      throw BadValue(fmt::format("{}; use {} to {}", error.what(), range.min, range.max));
    }
    if (value < range.min || value > range.max) {
      throw BadValue(fmt::format("{} is out of range; use {} to {}", in_quotes(text), range.min, range.max));
    }
    field.of(config) = static_cast<std::uint32_t>(value);
  };
  return make(entry, "N", set, [field](const Config& config) { return std::to_string(field.of(config)); });
}

// Refuses a word that is not one of the choices.
[[noreturn]] inline void refuse_choice(const std::string& text, const Values& choices) {
  throw BadValue(
      fmt::format("{} is unknown; use {}{}", in_quotes(text), fmt::join(choices, ", "), did_you_mean(text, choices)));
}

inline Option choice(const Entry& entry, std::string Config::* field, Values choices) {
  const auto set = [field, choices](Config& config, const std::string& text) {
    if (std::find(choices.begin(), choices.end(), text) == choices.end()) refuse_choice(text, choices);
    config.*field = text;
  };
  return make(entry, "WORD", set, [field](const Config& config) { return config.*field; });
}

inline Option truth(const Entry& entry, bool Config::* field) {
  const auto set = [field](Config& config, const std::string& text) {
    if (text != "true" && text != "false") refuse_choice(text, {"true", "false"});
    config.*field = text == "true";
  };
  return make(entry, kTruthName, set, [field](const Config& config) { return config.*field ? "true" : "false"; });
}

// Permission bits in octal; 0 in the field is "umask".
inline Option file_mode(const Entry& entry, std::uint32_t Config::* field) {
  const auto set = [field](Config& config, const std::string& text) {
    config.*field = text == "umask" ? 0 : parse_file_mode(text);
  };
  const auto show = [field](const Config& config) {
    return config.*field == 0 ? "umask" : fmt::format("{:04o}", config.*field);
  };
  return make(entry, "MODE", set, show);
}

// Text that `check` accepts; it throws BadValue.
template <class Check>
Option text(const Entry& entry, std::string_view value_name, std::string Config::* field, Check check) {
  const auto set = [field, check](Config& config, const std::string& value) {
    check(value);
    config.*field = value;
  };
  return make(entry, value_name, set, [field](const Config& config) { return config.*field; });
}

// The same, with "off" or an empty value for the empty field.
template <class Check>
Option text_or_off(const Entry& entry, std::string_view value_name, std::string Config::* field, Check check) {
  const auto set = [field, check](Config& config, const std::string& value) {
    const bool off = value.empty() || value == "off";
    if (!off) check(value);
    config.*field = off ? "" : value;
  };
  return make(entry, value_name, set,
              [field](const Config& config) { return (config.*field).empty() ? "off" : config.*field; });
}

template <class Check>
Option list(const Entry& entry, std::string_view value_name, Values Config::* field, Check check) {
  Option option = make(
      entry, value_name, [](Config&, const std::string&) {},
      [field](const Config& config) {
        return (config.*field).empty() ? "none" : fmt::format("{}", fmt::join(config.*field, ", "));
      });
  option.is_list = true;
  option.set = [field, check](Config& config, const Values& given) {
    const Values values = given == Values{"none"} ? Values{} : given;
    for (auto value = values.begin(); value != values.end(); ++value) {
      check(*value);
      if (std::find(values.begin(), value, *value) != value) throw BadValue(in_quotes(*value) + " is given twice");
    }
    config.*field = values;
  };
  return option;
}

inline Option workers(const Entry& entry) {
  const auto set = [](Config& config, const std::string& value) {
    const WorkerCount number = parse_workers(value);
    config.min_workers = number.min;
    config.max_workers = number.max;
  };
  const auto show = [](const Config& config) {
    if (config.min_workers == config.max_workers) return std::to_string(config.min_workers);
    return fmt::format("{}..{}", config.min_workers, config.max_workers);
  };
  return make(entry, "auto|N|MIN..MAX", set, show);
}

inline Option balance(const Entry& entry) {
  constexpr int kLast = static_cast<int>(Balance::cookie_hash);
  const auto set = [](Config& config, const std::string& value) {
    Values names;
    for (int i = 0; i <= kLast; ++i) {
      names.emplace_back(to_string(static_cast<Balance>(i)));
      if (names.back() == value) {
        config.balance = static_cast<Balance>(i);
        return;
      }
    }
    refuse_choice(value, names);
  };
  return make(entry, "NAME", set, [](const Config& config) { return std::string(to_string(config.balance)); });
}

inline Option redis(const Entry& entry) {
  const auto set = [](Config& config, const std::string& value) {
    if (value != "embedded" && value != "none") {
      const std::string meant = closest(value, {"embedded", "none"});
      if (!meant.empty())
        throw BadValue(fmt::format("{} is unknown{}", in_quotes(value), did_you_mean(value, {meant})));
      try {
        (void)parse_redis_url(value);
      } catch (const std::invalid_argument& error) {  // names nothing of the value: it may hold a password
        throw BadValue(fmt::format("{} (or embedded, none)", error.what()));
      }
    }
    config.redis = value;
  };
  const auto show = [](const Config& config) {
    if (config.redis == "embedded" || config.redis == "none") return config.redis;
    return display_redis_url(parse_redis_url(config.redis));
  };
  return make(entry, "embedded|none|URL", set, show);
}

// A named format, or a pattern of common/config/access_log_pattern.h; "auto" is the empty field.
inline Option access_log_format(const Entry& entry) {
  const auto set = [](Config& config, const std::string& value) {
    const Values names{"auto", "text", "combined", "json"};
    if (std::find(names.begin(), names.end(), value) == names.end()) {
      if (value.find('%') == std::string::npos) refuse_choice(value, names);
      try {
        (void)parse_access_log_pattern(value);
      } catch (const std::invalid_argument& error) {
        throw BadValue(error.what());
      }
    }
    config.access_log_format = value == "auto" ? "" : value;
  };
  return make(entry, "FORMAT", set, [](const Config& config) {
    return config.access_log_format.empty() ? "auto" : config.access_log_format;
  });
}

inline void accept_path(const std::string& value) {
  if (value.empty()) throw BadValue("\"\" is not a path; give one, or omit the option");
}

// Whoever writes such a word does not mean a file of that name.
inline bool is_switch(std::string_view value) noexcept {
  constexpr std::array<std::string_view, 6> kWords{"on", "off", "true", "false", "yes", "no"};
  return std::find(kWords.begin(), kWords.end(), value) != kWords.end();
}

inline void accept_log_file(const std::string& value) {
  if (is_switch(value)) {
    throw BadValue(value == "off" ? "the log cannot be off; use - for standard error, or /dev/null"
                                  : in_quotes(value) + " is not a path; use - for standard error, or a file");
  }
  accept_path(value);
}

inline void accept_access_log(const std::string& value) {
  if (value != "off" && is_switch(value)) {
    throw BadValue(in_quotes(value) + " is not a path; use - for standard output, off, or a file");
  }
  accept_path(value);
}

// USER, USER:GROUP or :GROUP. The supervisor finds out whether they exist.
inline void check_owner(const std::string& value) {
  const auto colon = value.find(':');
  const bool ok = !value.empty() && value != ":" && colon == value.rfind(':') && value.back() != ':' &&
                  value.find_first_of(" /") == std::string::npos;
  if (!ok) throw BadValue(fmt::format("{} is not an owner; use USER, USER:GROUP or :GROUP", in_quotes(value)));
}

inline void check_endpoint(const std::string& value) {
  if (!value.starts_with('/') || value.find_first_of(" ?#%") != std::string::npos) {
    throw BadValue(fmt::format("{} is not a path; use one such as /status, or off", in_quotes(value)));
  }
}

// What a certificate names: a host name, or an IP address.
inline void check_tls_name(const std::string& value) {
  const bool ok = value.size() <= 253 && std::all_of(value.begin(), value.end(), [](unsigned char c) {
                    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_' || c == ':';
                  });
  if (!ok) throw BadValue(fmt::format("{} is not the name or address of a host", in_quotes(value)));
}

// The name stands between braces in every Redis key, and in logs.
inline void check_name(const std::string& value) {
  const bool ok = !value.empty() && value.size() <= 64 && std::all_of(value.begin(), value.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-';
  });
  if (!ok) throw BadValue(fmt::format("{} is not a name; use 1 to 64 letters, digits and . _ -", in_quotes(value)));
}

// A token of RFC 9110 section 5.6.2, as RFC 6265 requires.
inline void check_cookie_name(const std::string& value) {
  const bool ok = !value.empty() && value.size() <= 64 && std::all_of(value.begin(), value.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (!ok) throw BadValue(fmt::format("{} is not a cookie name; use letters, digits, - and _", in_quotes(value)));
}

// A host name of at least two labels (RFC 1123): browsers reject other values, and those of a port or an address.
inline void check_cookie_domain(const std::string& value) {
  constexpr std::size_t kLongest = 253;
  bool ok = value.size() <= kLongest && value.find('.') != std::string::npos && !parse_ip_address(value);
  std::size_t label = 0;  // its length so far
  for (std::size_t i = 0; ok && i < value.size(); ++i) {
    const auto c = static_cast<unsigned char>(value[i]);
    const bool ends = i + 1 == value.size() || value[i + 1] == '.';
    if (c == '.') {
      ok = label > 0;
      label = 0;
    } else {
      ok = (std::isalnum(c) != 0 || (c == '-' && label > 0 && !ends)) && ++label <= 63;
    }
  }
  if (!ok || label == 0) {
    throw BadValue(fmt::format("{} is not a domain; use one such as example.org, without a leading dot, or off",
                               in_quotes(value)));
  }
}

}  // namespace pronghorn::server::kinds
