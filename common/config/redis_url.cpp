#include "common/config/redis_url.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <stdexcept>

namespace pronghorn {
namespace {

constexpr std::string_view kForm = "use redis://[user:password@]host:port/database or unix:PATH";
constexpr int kMaxDatabase = 65'535;
constexpr std::size_t kMaxUnixPath = sizeof(sockaddr_un::sun_path) - 1;

[[noreturn]] void refuse(std::string_view what) { throw std::invalid_argument(fmt::format("{}; {}", what, kForm)); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0)
      refuse("the user or password of the Redis URL has a % that is not followed by two hex digits");
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

std::optional<int> whole_number(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

void parse_host_and_port(std::string_view text, RedisUrl& url) {
  std::string_view port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) refuse("the address in the Redis URL has a [ without a ]");
    url.host = text.substr(1, end - 1);
    port = text.substr(end + 1);
    if (!port.empty() && !port.starts_with(':')) refuse("the Redis URL has text between ] and the port");
  } else {
    const auto colon = text.find(':');
    url.host = text.substr(0, colon);
    if (colon != std::string_view::npos) port = text.substr(colon);
    if (port.find(':', 1) != std::string_view::npos) refuse("an IPv6 address in a Redis URL must be in brackets");
  }
  if (url.host.empty()) refuse("the Redis URL names no host");
  if (port.empty()) return;
  const auto number = whole_number(port.substr(1));
  if (!number || *number < 1 || *number > 65'535) refuse("the port of the Redis URL is not a number from 1 to 65535");
  url.port = static_cast<std::uint16_t>(*number);
}

RedisUrl parse_unix(std::string_view path) {
  if (path.empty()) refuse("the path of the Redis socket is missing");
  if (path.size() > kMaxUnixPath) {
    refuse(fmt::format("the path of the Redis socket is longer than {} bytes", kMaxUnixPath));
  }
  RedisUrl url;
  url.is_unix = true;
  url.path = path;
  return url;
}

}  // namespace

RedisUrl parse_redis_url(std::string_view text) {
  const bool has_control = std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= 0x20 || byte == 0x7f;
  });
  if (has_control) refuse("the Redis URL has a blank or control character");
  if (text.starts_with("rediss://")) {
    throw std::invalid_argument(
        "rediss:// (Redis over TLS) is not supported; use redis://[user:password@]host:port/database, through a TLS "
        "tunnel if the network asks for one");
  }
  if (text.starts_with("unix:")) return parse_unix(text.substr(5));
  constexpr std::string_view kScheme = "redis://";
  if (!text.starts_with(kScheme)) refuse("the Redis address has no known scheme");

  std::string_view rest = text.substr(kScheme.size());
  RedisUrl url;
  const auto slash = rest.find('/');
  const std::string_view database = slash == std::string_view::npos ? "" : rest.substr(slash + 1);
  std::string_view authority = rest.substr(0, slash);
  if (database.find('@') != std::string_view::npos) {
    refuse("the Redis URL has a / before its @: write / in a password as %2F");
  }
  if (const auto at = authority.find('@'); at != std::string_view::npos) {
    if (authority.find('@', at + 1) != std::string_view::npos) {
      refuse("the Redis URL has two @: write @ in a password as %40");
    }
    const std::string_view login = authority.substr(0, at);
    const auto colon = login.find(':');
    url.user = percent_decode(login.substr(0, colon));
    if (colon != std::string_view::npos) url.password = percent_decode(login.substr(colon + 1));
    if (url.password.empty() && !url.user.empty()) refuse("the Redis URL has a user but no password");
    authority.remove_prefix(at + 1);
  }
  parse_host_and_port(authority, url);
  if (!database.empty()) {
    const auto number = whole_number(database);
    if (!number || *number > kMaxDatabase) refuse("the database of the Redis URL is not a number from 0 to 65535");
    url.database = *number;
  }
  return url;
}

std::string display_redis_url(const RedisUrl& url) {
  if (url.is_unix) return "unix:" + url.path;
  const std::string login = url.password.empty() ? "" : url.user + ":***@";
  const bool is_v6 = url.host.find(':') != std::string::npos;
  return fmt::format("redis://{}{}{}{}:{}/{}", login, is_v6 ? "[" : "", url.host, is_v6 ? "]" : "", url.port,
                     url.database);
}

}  // namespace pronghorn
