// The address of a Redis server as text: a value of the option `redis` other than "embedded" and "none".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pronghorn {

struct RedisUrl {
  bool is_unix = false;
  std::string path;  // of the Unix socket, when is_unix
  std::string host;  // a name or an address, IPv6 without brackets
  std::uint16_t port = 6379;
  std::string user;      // empty: Redis' default user
  std::string password;  // empty: no AUTH
  int database = 0;
};

// Parses redis://[[user]:password@]host[:port][/database] or unix:PATH. User and password are percent-decoded, so
// either may hold any character. Throws std::invalid_argument with one line that says what is wrong and what would be
// valid; the line quotes nothing of `text`, because a misplaced password could be anywhere in it.
[[nodiscard]] RedisUrl parse_redis_url(std::string_view text);

// The URL with the password masked ("redis://user:***@host:6379/0"), for logs and `pronghorn check`.
[[nodiscard]] std::string display_redis_url(const RedisUrl& url);

}  // namespace pronghorn
