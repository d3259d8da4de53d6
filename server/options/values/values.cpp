#include "server/options/values/values.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <limits>

#include "common/config/networks.h"
#include "common/text/controls.h"
#include "common/text/utf8.h"

namespace pronghorn::server {
namespace {

constexpr std::size_t kMaxQuoted = 100;
constexpr std::string_view kHttps = "https://";

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
// Largest first, so that formatting takes the first that divides.
constexpr std::array<Unit, 5> kTimeUnits{{{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 5> kSizeUnits{
    {{"TiB", 1ULL << 40}, {"GiB", 1ULL << 30}, {"MiB", 1ULL << 20}, {"KiB", 1ULL << 10}, {"B", 1}}};

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// A number times its unit; nullopt if either is missing or unknown, or the product is above `limit`.
template <std::size_t N>
std::optional<std::uint64_t> with_unit(std::string_view text, const std::array<Unit, N>& units, std::uint64_t limit) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = whole_number(text.substr(0, digits));
  if (!number) return std::nullopt;
  const auto unit =
      std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == text.substr(digits); });
  if (unit == units.end() || *number > limit / unit->factor) return std::nullopt;
  return *number * unit->factor;
}

template <std::size_t N>
std::string in_largest_unit(std::uint64_t value, const std::array<Unit, N>& units) {
  for (const Unit& unit : units) {
    if (value % unit.factor == 0) return fmt::format("{}{}", value / unit.factor, unit.name);
  }
  return std::to_string(value);
}

bool is_port(std::string_view text) {
  const auto port = whole_number(text);
  return port && *port <= 65'535;
}

bool is_ip(int family, const std::string& text) {
  in6_addr storage{};
  return inet_pton(family, text.c_str(), &storage) == 1;
}

// Why no server can listen on this valid address; empty: it can.
std::string_view why_unusable(const std::string& text) {
  in_addr ipv4{};
  if (inet_pton(AF_INET, text.c_str(), &ipv4) == 1) {
    return IN_MULTICAST(ntohl(ipv4.s_addr)) ? "is a multicast address" : std::string_view();
  }
  in6_addr address{};
  if (inet_pton(AF_INET6, text.c_str(), &address) != 1) return {};  // a name
  if (IN6_IS_ADDR_V4MAPPED(&address)) return "is an IPv4 address in the form of IPv6: write only its last four numbers";
  if (IN6_IS_ADDR_LINKLOCAL(&address)) return "is a link-local address, which belongs to no interface by itself";
  if (IN6_IS_ADDR_MULTICAST(&address)) return "is a multicast address";
  return {};
}

// A name that the system may resolve. It must have a letter, so that a mistyped IPv4 address is not one.
bool is_host_name(std::string_view text) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_'; };
  const auto letter = [](unsigned char c) { return std::isalpha(c) != 0; };
  return std::all_of(text.begin(), text.end(), allowed) && std::any_of(text.begin(), text.end(), letter);
}

}  // namespace

std::string in_quotes(std::string_view text) {
  if (text.size() <= kMaxQuoted) return fmt::format("\"{}\"", text);
  std::size_t end = kMaxQuoted;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;  // not inside a character
  return fmt::format("\"{}…\"", text.substr(0, end));
}

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = utf8_sequence(text);
    const std::string_view sequence = text.substr(0, length == 0 ? 1 : length);
    text.remove_prefix(sequence.size());
    if (length != 0 && !is_control(utf8_character(sequence))) {
      out += sequence;
    } else if (sequence == "\n") {
      out += "\\n";
    } else {
      for (const char c : sequence) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Milliseconds parse_duration(std::string_view text) {
  if (text == "0") return Milliseconds(0);
  constexpr auto kLimit = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const auto value = with_unit(text, kTimeUnits, kLimit);
  if (!value) {
    throw BadValue(
        fmt::format("{} is not a duration; use a number with a unit such as 500ms, 30s or 5m", in_quotes(text)));
  }
  return Milliseconds(static_cast<Milliseconds::rep>(*value));
}

std::string format_duration(Milliseconds duration) {
  if (duration.count() == 0) return "0";
  return in_largest_unit(static_cast<std::uint64_t>(duration.count()), kTimeUnits);
}

std::uint64_t parse_size(std::string_view text) {
  if (const auto bytes = whole_number(text)) return *bytes;
  const auto value = with_unit(text, kSizeUnits, std::numeric_limits<std::uint64_t>::max());
  if (!value)
    throw BadValue(fmt::format("{} is not a size; use bytes or a unit such as 64KiB, 1MiB or 1GiB", in_quotes(text)));
  return *value;
}

std::string format_size(std::uint64_t bytes) { return bytes == 0 ? "0" : in_largest_unit(bytes, kSizeUnits); }

std::uint64_t parse_count(std::string_view text) {
  const auto number = whole_number(text);
  if (!number) throw BadValue(fmt::format("{} is not a whole number", in_quotes(text)));
  return *number;
}

void check_listen(std::string_view text) {
  if (!is_https(text)) return check_address(text);
  const std::string_view address = text.substr(kHttps.size());
  const auto refuse = [&](std::string_view why) {
    throw BadValue(
        fmt::format("{} {}; use https://0.0.0.0:443, https://[::]:443 or https://:443", in_quotes(text), why));
  };
  if (address.starts_with("unix:")) refuse("asks for TLS on a Unix socket, which has no eavesdroppers");
  try {
    check_address(address);
  } catch (const BadValue& error) {
    refuse(address.find_first_of("/?#") != std::string_view::npos ? "has a path" : "is not an address with a port");
  }
}

bool is_https(std::string_view address) noexcept { return address.starts_with(kHttps); }

void check_address(std::string_view text) {
  const auto refuse = [&](std::string_view why) {
    throw BadValue(fmt::format("{} {}; use 127.0.0.1:8080, [::1]:8080, :8080 or unix:PATH", in_quotes(text), why));
  };
  if (is_https(text)) refuse("asks for TLS, and only addresses of listen have it");
  if (text.starts_with("unix:")) {
    const std::string_view path = text.substr(5);
    if (path.empty()) refuse("has no path");
    if (path.size() > kMaxSocketPath) {
      refuse(fmt::format("has a path of {} bytes, and a Unix socket takes at most {}", path.size(), kMaxSocketPath));
    }
    return;
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) refuse("is not an address");
  const std::string host(text.substr(0, colon));
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  const bool host_is_right = host.empty() || (bracketed ? is_ip(AF_INET6, host.substr(1, host.size() - 2))
                                                        : is_ip(AF_INET, host) || is_host_name(host));
  const std::string_view unusable = why_unusable(bracketed ? host.substr(1, host.size() - 2) : host);
  if (host_is_right && !unusable.empty()) refuse(unusable);
  if (!host_is_right && is_ip(AF_INET6, host)) refuse("has an IPv6 address without brackets");
  if (!host_is_right) refuse("is not an address");
  if (!is_port(text.substr(colon + 1))) refuse("has no port from 0 to 65535");
}

void check_network(std::string_view text) {
  if (!parse_network(text)) {
    throw BadValue(fmt::format("{} is not a network; use an address and a prefix length such as 10.0.0.0/8 or ::1/128",
                               in_quotes(text)));
  }
}

void check_peers(std::string_view text) {
  if (text != "unix" && !parse_network(text)) {
    throw BadValue(fmt::format(
        "{} is not a network; use one such as 10.0.0.0/8, one address such as ::1, or unix for Unix sockets",
        in_quotes(text)));
  }
}

std::uint32_t parse_file_mode(std::string_view text) {
  std::uint32_t mode = 0;
  const std::string_view digits = text.substr(text.starts_with("0o") ? 2 : 0);  // as TOML writes octal numbers
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), mode, 8);
  const bool is_octal = digits != text ? digits.size() == 3 : digits.size() == 4 && digits.front() == '0';
  if (!is_octal || error != std::errc{} || end != digits.data() + digits.size() || mode == 0) {
    throw BadValue(fmt::format("{} is not a file mode; use four octal digits such as \"0660\"", in_quotes(text)));
  }
  return mode;
}

WorkerCount parse_workers(std::string_view text) {
  if (text == "auto") return {};
  const auto dots = text.find("..");
  const bool is_range = dots != std::string_view::npos;
  const auto min = whole_number(text.substr(0, dots));
  const auto max = is_range ? whole_number(text.substr(dots + 2)) : min;
  if (!min || !max) {
    throw BadValue(
        fmt::format("{} is not a number of workers; use auto, a number or a range such as 2..8", in_quotes(text)));
  }
  if (*min < 1 || *max > kMaxWorkers)
    throw BadValue(fmt::format("{} is out of range; use 1 to {}", in_quotes(text), kMaxWorkers));
  if (*min > *max)
    throw BadValue(fmt::format("{} ends below its beginning; use MIN..MAX such as 2..8", in_quotes(text)));
  return {static_cast<std::uint32_t>(*min), static_cast<std::uint32_t>(*max)};
}

}  // namespace pronghorn::server
