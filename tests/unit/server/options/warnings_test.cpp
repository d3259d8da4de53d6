#include "server/options/warnings.h"

#include "support/catch.h"
#include "unit/common/error_of.h"

using namespace pronghorn;
using namespace pronghorn::server;

namespace {

std::vector<std::string> warnings(const Config& config, const std::map<std::string, std::string, std::less<>>& sources,
                                  const KernelLimits& limits = {.somaxconn = 4096, .descriptors = 1'048'576}) {
  Effective effective;
  effective.config = config;
  effective.sources = sources;
  return warnings_of(effective, limits);
}

}  // namespace

TEST_CASE("a configuration that does what it says brings no warnings", "[warnings]") {
  CHECK(warnings({}, {}).empty());
  CHECK(warnings({}, {}, {}).empty());  // nothing is known of the kernel
}

TEST_CASE("limits that the kernel does not grant cause a warning", "[warnings]") {
  Config config;
  config.backlog = 5000;
  auto told = warnings(config, {});
  REQUIRE(told.size() == 1);
  CHECK(contains(told[0], "backlog 5000 is above net.core.somaxconn"));
  config = {};
  told = warnings(config, {}, {.somaxconn = 4096, .descriptors = 1024});
  REQUIRE(told.size() == 1);
  CHECK(contains(told[0], "max_connections 16384 needs more than the 1024 file descriptors"));
}

TEST_CASE("more connections than can survive their worker cause a warning", "[warnings]") {
  Config config;
  config.http.max_connections = 30'000;
  const auto told = warnings(config, {});
  REQUIRE(told.size() == 1);
  CHECK(contains(told[0], "room for about 29127 connections, and max_connections is 30000"));
  CHECK(contains(told[0], "set survival_memory to 33MiB"));
  config.survival_memory = 33ULL << 20;
  CHECK(warnings(config, {}).empty());
  config.survival_memory = 0;
  CHECK(warnings(config, {}).empty());
}

TEST_CASE("a default name on a Redis that others use causes a warning", "[warnings]") {
  Config config;
  config.name = "app";
  config.redis = "redis://db:6379";
  const auto told = warnings(config, {{"name", "default"}});
  REQUIRE(told.size() == 1);
  CHECK(contains(told[0], "name is app"));
  CHECK(warnings(config, {{"name", "PRONGHORN_NAME"}}).empty());
  config.redis = "embedded";
  CHECK(warnings(config, {{"name", "default"}}).empty());
}

TEST_CASE("a password on the command line causes a warning that does not repeat it", "[warnings]") {
  Config config;
  config.redis = "redis://:hunter2@db:6379";
  const auto told = warnings(config, {{"name", "file"}, {"redis", "command line"}});
  REQUIRE(told.size() == 1);
  CHECK(contains(told[0], "password of Redis"));
  CHECK_FALSE(contains(told[0], "hunter2"));
  CHECK(warnings(config, {{"name", "file"}, {"redis", "REDIS_URL"}}).empty());
}

TEST_CASE("options for TLS to a Redis without TLS cause a warning each", "[warnings]") {
  Config config;
  config.redis = "redis://db:6379";
  const std::map<std::string, std::string, std::less<>> sources{
      {"name", "file"}, {"redis_ca", "file"}, {"redis_tls_name", "command line"}, {"redis_key", "default"}};
  const auto told = warnings(config, sources);
  REQUIRE(told.size() == 2);
  CHECK(contains(told[0], "redis_ca has no effect"));
  CHECK(contains(told[1], "redis_tls_name has no effect"));
  config.redis = "rediss+cluster://db:6379";
  CHECK(warnings(config, sources).empty());
}

TEST_CASE("the password of a URL in a setting is masked", "[warnings]") {
  CHECK(shown_setting("database_url", "postgres://shop:hunter2@db/orders") == "postgres://shop:***@db/orders");
  CHECK(shown_setting("url", "amqp://u:a@b:c@host:5672?x=1@2") == "amqp://u:***@host:5672?x=1@2");
  for (const char* url : {"https://host:8080/a@b", "redis://user@host", "a:b@c", "http://", "://"}) {
    CAPTURE(url);
    CHECK(shown_setting("url", url) == url);
  }
}

TEST_CASE("settings of the application that name a secret are masked", "[warnings]") {
  for (const char* key : {"password", "DB_PASSWORD", "api_key", "apiKey", "jwt-secret", "token", "key", "smtp_pass",
                          "auth", "pepper", "salt", "db_dsn"}) {
    CAPTURE(key);
    CHECK(shown_setting(key, "hunter2") == "***");
  }
  for (const char* key : {"greeting", "keyboard", "monkey", "url", "author"}) {
    CAPTURE(key);
    CHECK(shown_setting(key, "hunter2") == "hunter2");
  }
}
