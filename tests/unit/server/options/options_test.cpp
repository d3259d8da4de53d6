#include "server/options/options.h"

#include <fstream>
#include <iterator>
#include <set>

#include "server/options/values/values.h"
#include "support/catch.h"
#include "support/paths.h"

using namespace pronghorn;
using namespace pronghorn::server;

namespace {

std::string page() {
  std::ifstream file(test::source_path("/docs/configuration.md"));
  return {std::istreambuf_iterator<char>(file), {}};
}

void set(Config& config, const char* name, const std::vector<std::string>& values) {
  find_option(name)->set(config, values);
}

}  // namespace

TEST_CASE("an option has one name in three spellings", "[options]") {
  const Option* option = find_option("drain_timeout");
  REQUIRE(option != nullptr);
  CHECK(option->flag() == "--drain-timeout");
  CHECK(option->variable() == "PRONGHORN_DRAIN_TIMEOUT");
  CHECK(find_option("drain-timeout") == nullptr);
}

TEST_CASE("every option has a name of its own, a meaning and a default", "[options]") {
  std::set<std::string> names;
  for (const Option& option : options()) {
    CAPTURE(option.name);
    CHECK(names.insert(option.name).second);
    CHECK_FALSE(option.help.empty());
    CHECK_FALSE(option.default_text.empty());
  }
}

TEST_CASE("what an option shows is what it accepts", "[options]") {
  Config config;
  config.name = "shop";
  config.control = "/run/c.sock";
  config.runtime_dir = "/run";
  config.data_dir = "/data";
  for (const Option& option : options()) {
    if (option.is_list) continue;
    CAPTURE(option.name);
    const std::string shown = option.show(config);
    option.set(config, {shown});
    CHECK(option.show(config) == shown);
  }
}

TEST_CASE("docs/configuration.md lists every option with its default", "[options][docs]") {
  const std::string text = page();
  for (const Option& option : options()) {
    CAPTURE(option.name, option.default_text);
    const auto row = text.find("\n| `" + option.name + "` | ");
    REQUIRE(row != std::string::npos);
    CHECK(text.substr(row, text.find('\n', row + 1) - row).find(option.default_text) != std::string::npos);
  }
  for (const char* name : {"PORT", "REDIS_URL", "WEB_CONCURRENCY", "PRONGHORN_CONFIG"}) {
    CHECK(text.find(std::string("`") + name) != std::string::npos);
  }
}

TEST_CASE("docs/configuration.md names no option that does not exist", "[options][docs]") {
  const std::string text = page();
  const std::size_t tables = text.find("\n## All options");
  REQUIRE(tables != std::string::npos);
  std::size_t rows = 0;
  for (std::size_t at = text.find("\n| `", tables); at != std::string::npos; at = text.find("\n| `", at + 1)) {
    const std::string name = text.substr(at + 4, text.find('`', at + 4) - at - 4);
    CAPTURE(name);
    CHECK(find_option(name) != nullptr);
    ++rows;
  }
  CHECK(rows == options().size());
}

TEST_CASE("counts and sizes have ranges", "[options]") {
  Config config;
  CHECK_NOTHROW(set(config, "max_header_fields", {"128"}));
  CHECK(config.http.max_header_fields == 128);
  CHECK_THROWS_AS(set(config, "max_header_fields", {"129"}), BadValue);
  CHECK_THROWS_AS(set(config, "max_header_fields", {"0"}), BadValue);
  CHECK_THROWS_AS(set(config, "max_in_flight", {"4294967296"}), BadValue);
  CHECK_THROWS_AS(set(config, "max_request_line", {"1GiB"}), BadValue);
  CHECK_THROWS_AS(set(config, "drain_timeout", {"366d"}), BadValue);
  CHECK_THROWS_AS(set(config, "worker_timeout", {"0"}), BadValue);
  CHECK_NOTHROW(set(config, "keep_alive_timeout", {"0"}));
  CHECK_THROWS_WITH(set(config, "backlog", {"abc"}), "\"abc\" is not a whole number; use 1 to 65535");
  CHECK_THROWS_WITH(set(config, "access_log", {""}), "\"\" is not a path; give one, or omit the option");
}

TEST_CASE("off or an empty value switches an endpoint off", "[options]") {
  Config config;
  set(config, "health_path", {"off"});
  CHECK(config.health_path.empty());
  set(config, "ready_path", {""});
  CHECK(config.ready_path.empty());
  CHECK(find_option("ready_path")->show(config) == "off");
  CHECK_THROWS_AS(set(config, "status_path", {"status"}), BadValue);
  CHECK_THROWS_AS(set(config, "admin", {"nowhere"}), BadValue);
}

TEST_CASE("the owner of Unix sockets is a user, a group or both", "[options]") {
  Config config;
  for (const char* right : {"www-data", "www-data:www", ":www", "1000:100"}) {
    CAPTURE(right);
    CHECK_NOTHROW(set(config, "unix_owner", {right}));
    CHECK(config.unix_owner == right);
  }
  for (const char* wrong : {":", "a:", "a:b:c", "a b"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(set(config, "unix_owner", {wrong}), BadValue);
  }
  set(config, "unix_owner", {"off"});
  CHECK(config.unix_owner.empty());
}

TEST_CASE("an empty list is called none", "[options]") {
  Config config;
  CHECK(find_option("trusted_proxies")->show(config) == "none");
  set(config, "trusted_proxies", {"10.0.0.0/8", "unix"});
  CHECK(find_option("trusted_proxies")->show(config) == "10.0.0.0/8, unix");
  set(config, "trusted_proxies", {"none"});
  CHECK(config.trusted_proxies.empty());
}

TEST_CASE("ipv6_only is true or false", "[options]") {
  Config config;
  set(config, "ipv6_only", {"false"});
  CHECK_FALSE(config.ipv6_only);
  CHECK_THROWS_AS(set(config, "ipv6_only", {"no"}), BadValue);
}

TEST_CASE("an unknown word is refused with the known ones", "[options]") {
  Config config;
  CHECK_THROWS_WITH(set(config, "log_level", {"warn"}), "\"warn\" is unknown; use debug, info, warning, error");
  CHECK_THROWS_WITH(set(config, "log_format", {"jsn"}), "\"jsn\" is unknown; use text, json; did you mean \"json\"?");
  set(config, "balance", {"least-connections"});
  CHECK(config.balance == Balance::least_connections);
}

TEST_CASE("the password of a Redis URL is never shown", "[options]") {
  Config config;
  set(config, "redis", {"redis://shop:hunter2@redis:6379/1"});
  CHECK(config.redis == "redis://shop:hunter2@redis:6379/1");
  CHECK(find_option("redis")->show(config) == "redis://shop:***@redis:6379/1");
  for (const char* wrong :
       {"redis://:hunter2", "rediss://:hunter2@h:x", "redis://:hunter2@h:x", "hunter2@h", "tcp:hunter2"}) {
    try {
      set(config, "redis", {wrong});
      FAIL("accepted: " << wrong);
    } catch (const BadValue& error) {
      CHECK(std::string(error.what()).find("hunter2") == std::string::npos);
    }
  }
  CHECK_THROWS_WITH(set(config, "redis", {"embeded"}), "\"embeded\" is unknown; did you mean \"embedded\"?");
}

TEST_CASE("names that go into keys and cookies are checked", "[options]") {
  Config config;
  for (const char* wrong : {"", "a b", "{x}", "a:b"}) CHECK_THROWS_AS(set(config, "name", {wrong}), BadValue);
  for (const char* wrong : {"", "a b", "a;b", "a=b", "a,b"})
    CHECK_THROWS_AS(set(config, "session_cookie", {wrong}), BadValue);
  CHECK_NOTHROW(set(config, "session_cookie", {"__Host-session"}));
  for (const char* wrong : {"localhost", ".example.org", "example.org.", "a..b", "a b.org", "example.org:80",
                            "192.0.2.1", "-a.org", "a-.org", "https://example.org", "a;b.org"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(set(config, "session_domain", {wrong}), BadValue);
  }
  for (const char* right : {"example.org", "a-b.example.org", "off", ""})
    CHECK_NOTHROW(set(config, "session_domain", {right}));
}
