#include "common/config/redis_url.h"

#include <stdexcept>
#include <string>

#include "support/catch.h"

using pronghorn::display_redis_url;
using pronghorn::parse_redis_url;
using pronghorn::RedisUrl;

namespace {

std::string refusal(const std::string& text) {
  try {
    (void)parse_redis_url(text);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a Redis URL gives host, port, user, password and database", "[redis_url]") {
  const RedisUrl url = parse_redis_url("redis://shop:secret@redis.example:7000/3");
  CHECK_FALSE(url.is_unix);
  CHECK(url.host == "redis.example");
  CHECK(url.port == 7000);
  CHECK(url.user == "shop");
  CHECK(url.password == "secret");
  CHECK(url.database == 3);
}

TEST_CASE("a Redis URL may leave out everything but the host", "[redis_url]") {
  for (const char* text : {"redis://localhost", "redis://localhost/", "redis://localhost:6379/0"}) {
    const RedisUrl url = parse_redis_url(text);
    CHECK(url.host == "localhost");
    CHECK(url.port == 6379);
    CHECK(url.user.empty());
    CHECK(url.password.empty());
    CHECK(url.database == 0);
  }
}

TEST_CASE("an IPv6 address in a Redis URL stands in brackets", "[redis_url]") {
  CHECK(parse_redis_url("redis://[::1]:6380").host == "::1");
  CHECK(parse_redis_url("redis://[::1]:6380").port == 6380);
  CHECK(parse_redis_url("redis://[::1]").port == 6379);
  CHECK(refusal("redis://::1:6380").find("brackets") != std::string::npos);
}

TEST_CASE("user and password of a Redis URL are percent-decoded", "[redis_url]") {
  const RedisUrl url = parse_redis_url("redis://a%40b:p%2fa%3As%25@host");
  CHECK(url.user == "a@b");
  CHECK(url.password == "p/a:s%");
  CHECK(parse_redis_url("redis://:only@host").password == "only");
  CHECK(parse_redis_url("redis://:only@host").user.empty());
  CHECK(parse_redis_url("redis://:a:b@host").password == "a:b");
}

TEST_CASE("unix: takes the path of a socket", "[redis_url]") {
  const RedisUrl url = parse_redis_url("unix:/run/redis.sock");
  CHECK(url.is_unix);
  CHECK(url.path == "/run/redis.sock");
  CHECK(refusal("unix:").find("missing") != std::string::npos);
  CHECK(refusal("unix:/" + std::string(200, 'x')).find("longer than 107") != std::string::npos);
}

TEST_CASE("redis+cluster:// lists nodes of a cluster", "[redis_url]") {
  const RedisUrl url = parse_redis_url("redis+cluster://shop:s%2Cecret@a:7000,b,[::1]:7001");
  CHECK(url.kind == RedisUrl::Kind::cluster);
  CHECK(url.seeds == std::vector<pronghorn::RedisHost>{{"a", 7000}, {"b", 6379}, {"::1", 7001}});
  CHECK(url.user == "shop");
  CHECK(url.password == "s,ecret");
  CHECK(parse_redis_url("redis+cluster://a/0").seeds.size() == 1);
  CHECK(refusal("redis+cluster://a/1").find("database 0") != std::string::npos);
}

TEST_CASE("redis+sentinel:// lists sentinels and names the primary", "[redis_url]") {
  const RedisUrl url = parse_redis_url("redis+sentinel://:secret@a,b:26380/main/3");
  CHECK(url.kind == RedisUrl::Kind::sentinel);
  CHECK(url.seeds == std::vector<pronghorn::RedisHost>{{"a", 26379}, {"b", 26380}});
  CHECK(url.primary == "main");
  CHECK(url.database == 3);
  CHECK(url.password == "secret");
  CHECK(parse_redis_url("redis+sentinel://a/main").database == 0);
  CHECK(refusal("redis+sentinel://a:26379").find("name the primary") != std::string::npos);
  CHECK(refusal("redis+sentinel://a/").find("name the primary") != std::string::npos);
}

TEST_CASE("rediss in the place of redis means TLS, for each kind", "[redis_url]") {
  CHECK_FALSE(parse_redis_url("redis://h").is_tls);
  CHECK_FALSE(parse_redis_url("unix:/x").is_tls);
  const RedisUrl server = parse_redis_url("rediss://shop:secret@redis.example/3");
  CHECK(server.is_tls);
  CHECK(server.kind == RedisUrl::Kind::server);
  CHECK(server.host == "redis.example");
  CHECK(server.database == 3);
  const RedisUrl cluster = parse_redis_url("rediss+cluster://a:7000,b");
  CHECK(cluster.is_tls);
  CHECK(cluster.kind == RedisUrl::Kind::cluster);
  const RedisUrl sentinel = parse_redis_url("rediss+sentinel://a,b/main");
  CHECK(sentinel.is_tls);
  CHECK(sentinel.kind == RedisUrl::Kind::sentinel);
  for (const char* text : {"redisss://h", "rediss:/h", "rediss+unix://h", "rediss+://h", "REDISS://h", "rediss"}) {
    CHECK(refusal(text).find("no known scheme") != std::string::npos);
  }
}

TEST_CASE("a malformed Redis URL is refused without showing its password", "[redis_url]") {
  for (const char* text : {"redis://:hunter2@",
                           "redis://:hunter2@host:99999",
                           "redis://:hunter2@host:x",
                           "redis://:hunter2@host/x",
                           "redis://:hunter2",
                           "redis://shop:hunter2",
                           "redis://:hunter2/x@host",
                           "redis://:hunter2@x@host",
                           "redis://hunter2@host",
                           "redis://:hunter2%@host",
                           "redis://:hunter2%4@host",
                           "redis://:hunter2 @host",
                           "http://:hunter2@host",
                           "hunter2",
                           "redis://:hunter2@host:0",
                           "redis://:hunter2@host/-1",
                           "redis://:hunter2@host/99999999999",
                           "redis://[hunter2",
                           "redis://[::1]hunter2",
                           "redis+cluster://:hunter2@",
                           "redis+cluster://:hunter2@a,",
                           "redis+cluster://:hunter2@a,,b",
                           "redis+cluster://:hunter2@a,b@c",
                           "redis+cluster://u:p@a,u:hunter2@b",
                           "redis+cluster://:hunter2@a:7000:1,b",
                           "redis+cluster://:hunter2@a/hunter2",
                           "redis+sentinel://:hunter2@a",
                           "redis+sentinel://:hunter2@a/main/hunter2",
                           "redis+sentinel://:hunter2@a/%main",
                           "redis+sentinel:///:hunter2@a/main",
                           "rediss://:hunter2@host:x",
                           "rediss+cluster://:hunter2@a,"}) {
    const std::string message = refusal(text);
    CAPTURE(text, message);
    CHECK(message != "accepted");
    CHECK(message.find("hunter2") == std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
  }
}

TEST_CASE("a Redis URL is shown without its password", "[redis_url]") {
  CHECK(display_redis_url(parse_redis_url("redis://u:hunter2@h:1/2")) == "redis://u:***@h:1/2");
  CHECK(display_redis_url(parse_redis_url("redis://:hunter2@[::1]")) == "redis://:***@[::1]:6379/0");
  CHECK(display_redis_url(parse_redis_url("redis://h")) == "redis://h:6379/0");
  CHECK(display_redis_url(parse_redis_url("redis+cluster://u:hunter2@a:1,[::1]")) ==
        "redis+cluster://u:***@a:1,[::1]:6379");
  CHECK(display_redis_url(parse_redis_url("redis+sentinel://:hunter2@a,b:1/main")) ==
        "redis+sentinel://:***@a:26379,b:1/main/0");
  CHECK(display_redis_url(parse_redis_url("rediss://u:hunter2@h")) == "rediss://u:***@h:6379/0");
  CHECK(display_redis_url(parse_redis_url("rediss+cluster://:hunter2@a")) == "rediss+cluster://:***@a:6379");
  CHECK(display_redis_url(parse_redis_url("rediss+sentinel://a/m")) == "rediss+sentinel://a:26379/m/0");
  CHECK(display_redis_url(parse_redis_url("unix:/x")) == "unix:/x");
}
