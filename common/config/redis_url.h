// The address of Redis as text: a value of the option `redis` other than "embedded" and "none".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pronghorn {

struct RedisHost {
  std::string host;  // a name or an address, IPv6 without brackets
  std::uint16_t port = 6379;
  [[nodiscard]] bool operator==(const RedisHost&) const = default;
};

struct RedisUrl {
  enum class Kind {
    server,    // one server
    cluster,   // nodes of a Redis Cluster, which name the others
    sentinel,  // sentinels, which name the primary
  };
  Kind kind = Kind::server;
  bool is_tls = false;  // of every connection, also those to sentinels
  bool is_unix = false;
  std::string path;              // of the Unix socket, when is_unix
  std::string host;              // of a server: a name or an address, IPv6 without brackets
  std::uint16_t port = 6379;     // of a server
  std::vector<RedisHost> seeds;  // of a cluster or of sentinels, as listed: at least one
  std::string primary;           // of sentinels: the name under which they watch it
  std::string user;              // empty: Redis' default user
  std::string password;          // empty: no AUTH
  int database = 0;              // always 0 in a cluster
};

// Parses one of
//   redis://[[user]:password@]host[:port][/database]
//   redis+cluster://[[user]:password@]host[:port][,host[:port]]…
//   redis+sentinel://[[user]:password@]host[:port][,host[:port]]…/name[/database]
//   unix:PATH
// With rediss in the place of redis, connections use TLS.
// The default port is 6379, of sentinels 26379. User and password are percent-decoded, so either may hold any
// character. Throws std::invalid_argument with one line that says what is wrong and what would be valid; the line quotes
// nothing of `text`, because a misplaced password could be anywhere in it.
[[nodiscard]] RedisUrl parse_redis_url(std::string_view text);

// Whether a value of the option `redis` names a Redis Cluster, with or without TLS: the keys of one command must then be
// in one slot.
[[nodiscard]] bool is_redis_cluster(std::string_view option) noexcept;

// The URL with the password masked ("redis://user:***@host:6379/0"), for logs and `pronghorn check`.
[[nodiscard]] std::string display_redis_url(const RedisUrl& url);

// "host:port", with an IPv6 address in brackets.
[[nodiscard]] std::string display_host(std::string_view host, std::uint16_t port);

}  // namespace pronghorn
