// Parses and formats values of options: durations, sizes, counts, addresses, networks. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/config/config.h"

namespace pronghorn::server {

// An error in the command line, environment or file: exit status 2. what() is one line: where, what, what would be
// valid.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A value that an option does not accept. what() begins with the value and does not name the option: the caller adds
// the place.
class BadValue : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// `text` in double quotes, truncated if it is long.
[[nodiscard]] std::string in_quotes(std::string_view text);
// `text` made safe for one line of a terminal: control characters (common/text/controls.h) and bytes that are not UTF-8
// become \n, \x1b, \xff.
[[nodiscard]] std::string printable(std::string_view text);

// "500ms", "30s", "5m", "2h", "1d"; "0" needs no unit. Throws BadValue, as do all functions below.
[[nodiscard]] Milliseconds parse_duration(std::string_view text);
[[nodiscard]] std::string format_duration(Milliseconds duration);  // in the largest unit without a remainder

// "64KiB", "1MiB", "1GiB", "1TiB"; a bare number is bytes.
[[nodiscard]] std::uint64_t parse_size(std::string_view text);
[[nodiscard]] std::string format_size(std::uint64_t bytes);

[[nodiscard]] std::uint64_t parse_count(std::string_view text);

// An address to listen on: 127.0.0.1:8080, [::1]:8080, :8080, unix:PATH. Host names are not resolved.
void check_address(std::string_view text);
// The same for `listen`: a TCP address may have https:// before it.
void check_listen(std::string_view text);
[[nodiscard]] bool is_https(std::string_view address) noexcept;
// A network of admin_networks: 10.0.0.0/8, ::1/128, or one address.
void check_network(std::string_view text);
// The same, or "unix" for peers on Unix sockets: an entry of proxy_protocol and trusted_proxies.
void check_peers(std::string_view text);

// Permission bits of owner, group and others as four octal digits, "0660"; not 0000.
[[nodiscard]] std::uint32_t parse_file_mode(std::string_view text);

// "auto" is {0, 0}, to be filled in from the Machine.
struct WorkerCount {
  std::uint32_t min = 0;
  std::uint32_t max = 0;
};
inline constexpr std::uint32_t kMaxWorkers = 255;
[[nodiscard]] WorkerCount parse_workers(std::string_view text);  // auto, N or MIN..MAX

}  // namespace pronghorn::server
