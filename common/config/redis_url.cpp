#include "common/config/redis_url.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <stdexcept>

namespace pronghorn {
namespace {

constexpr std::string_view kForm =
    "use redis://[user:password@]host:port/database, redis+cluster://[user:password@]host:port,…, "
    "redis+sentinel://[user:password@]host:port,…/name/database (rediss in the place of redis: with TLS) or unix:PATH";
constexpr std::uint16_t kSentinelPort = 26'379;
constexpr std::size_t kMaxSeeds = 64;
constexpr std::size_t kMaxPrimaryName = 128;
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

RedisHost parse_host(std::string_view text, std::uint16_t default_port) {
  RedisHost parsed;
  parsed.port = default_port;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) refuse("the address in the Redis URL has a [ without a ]");
    parsed.host = text.substr(1, end - 1);
    port = text.substr(end + 1);
    if (!port.empty() && !port.starts_with(':')) refuse("the Redis URL has text between ] and the port");
  } else {
    const auto colon = text.find(':');
    parsed.host = text.substr(0, colon);
    if (colon != std::string_view::npos) port = text.substr(colon);
    if (port.find(':', 1) != std::string_view::npos) refuse("an IPv6 address in a Redis URL must be in brackets");
  }
  if (parsed.host.empty()) refuse("the Redis URL names no host");
  if (port.empty()) return parsed;
  const auto number = whole_number(port.substr(1));
  if (!number || *number < 1 || *number > 65'535) refuse("the port of the Redis URL is not a number from 1 to 65535");
  parsed.port = static_cast<std::uint16_t>(*number);
  return parsed;
}

std::vector<RedisHost> parse_seeds(std::string_view text, std::uint16_t default_port) {
  std::vector<RedisHost> seeds;
  for (bool more = true; more;) {
    const auto comma = text.find(',');
    seeds.push_back(parse_host(text.substr(0, comma), default_port));
    if (seeds.size() > kMaxSeeds) refuse(fmt::format("the Redis URL has more than {} hosts", kMaxSeeds));
    more = comma != std::string_view::npos;
    if (more) text.remove_prefix(comma + 1);
  }
  return seeds;
}

// Takes "[[user]:password@]" off the front of `authority`.
void take_login(std::string_view& authority, RedisUrl& url) {
  const auto at = authority.find('@');
  if (at == std::string_view::npos) return;
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

int parse_database(std::string_view text) {
  if (text.empty()) return 0;
  const auto number = whole_number(text);
  if (!number || *number > kMaxDatabase) refuse("the database of the Redis URL is not a number from 0 to 65535");
  return *number;
}

// `path` is what follows the first slash.
void parse_sentinel_path(std::string_view path, RedisUrl& url) {
  const auto slash = path.find('/');
  url.primary = percent_decode(path.substr(0, slash));
  if (url.primary.empty()) refuse("the Redis URL does not name the primary that the sentinels watch");
  if (url.primary.size() > kMaxPrimaryName) refuse("the name of the primary in the Redis URL is too long");
  if (slash != std::string_view::npos) url.database = parse_database(path.substr(slash + 1));
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
  if (text.starts_with("unix:")) return parse_unix(text.substr(5));
  RedisUrl url;
  std::string_view rest = text;
  const auto take_scheme = [&rest](std::string_view scheme) {
    const bool matches = rest.starts_with(scheme);
    if (matches) rest.remove_prefix(scheme.size());
    return matches;
  };
  url.is_tls = take_scheme("rediss");
  if (!url.is_tls && !take_scheme("redis")) refuse("the Redis address has no known scheme");
  if (take_scheme("+cluster://")) {
    url.kind = RedisUrl::Kind::cluster;
  } else if (take_scheme("+sentinel://")) {
    url.kind = RedisUrl::Kind::sentinel;
  } else if (!take_scheme("://")) {
    refuse("the Redis address has no known scheme");
  }
  const auto slash = rest.find('/');
  const std::string_view path = slash == std::string_view::npos ? "" : rest.substr(slash + 1);
  std::string_view authority = rest.substr(0, slash);
  if (path.find('@') != std::string_view::npos) {
    refuse("the Redis URL has a / before its @: write / in a password as %2F");
  }
  take_login(authority, url);
  switch (url.kind) {
    case RedisUrl::Kind::server: {
      RedisHost server = parse_host(authority, url.port);
      url.host = std::move(server.host);
      url.port = server.port;
      url.database = parse_database(path);
      break;
    }
    case RedisUrl::Kind::cluster:
      url.seeds = parse_seeds(authority, url.port);
      if (parse_database(path) != 0) refuse("a Redis Cluster has only database 0");
      break;
    case RedisUrl::Kind::sentinel:
      url.seeds = parse_seeds(authority, kSentinelPort);
      parse_sentinel_path(path, url);
      break;
  }
  return url;
}

bool is_redis_cluster(std::string_view option) noexcept {
  return option.starts_with("redis+cluster:") || option.starts_with("rediss+cluster:");
}

std::string display_host(std::string_view host, std::uint16_t port) {
  const bool is_v6 = host.find(':') != std::string_view::npos;
  return fmt::format("{}{}{}:{}", is_v6 ? "[" : "", host, is_v6 ? "]" : "", port);
}

std::string display_redis_url(const RedisUrl& url) {
  if (url.is_unix) return "unix:" + url.path;
  const std::string login = url.password.empty() ? "" : url.user + ":***@";
  const std::string_view scheme = url.is_tls ? "rediss" : "redis";
  if (url.kind == RedisUrl::Kind::server) {
    return fmt::format("{}://{}{}/{}", scheme, login, display_host(url.host, url.port), url.database);
  }
  std::string hosts;
  for (const RedisHost& seed : url.seeds) {
    if (!hosts.empty()) hosts += ',';
    hosts += display_host(seed.host, seed.port);
  }
  if (url.kind == RedisUrl::Kind::cluster) return fmt::format("{}+cluster://{}{}", scheme, login, hosts);
  return fmt::format("{}+sentinel://{}{}/{}/{}", scheme, login, hosts, url.primary, url.database);
}

}  // namespace pronghorn
