#include "common/config/config.h"

#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <type_traits>
#include <variant>

#include "support/catch.h"
#include "unit/common/error_of.h"

using namespace pronghorn;

namespace {

// Gives a field a value that is not its default, by its type.
void change(std::string& text) { text += "\xff\xfe\n"; }  // a path is any bytes
void change(Texts& texts) { texts.insert(texts.end(), {"[::1]:1", "unix:/run/a b.sock", "\x80"}); }
void change(TextMap& settings) { settings = {{"key", "value\n"}, {std::string("\0k", 2), "\x80"}}; }
void change(Milliseconds& duration) { duration += Milliseconds(7); }
void change(Balance& balance) { balance = Balance::cookie_hash; }
void change(bool& truth) { truth = !truth; }
void change(std::uint32_t& number) { number += 7; }
void change(std::uint64_t& number) { number += 5'000'000'000; }
void change(HttpLimits& http) {
  for_each_field(http, [](const char*, auto& field) { change(field); });
}

Config changed() {
  Config config;
  for_each_field(config, [](const char*, auto& field) { change(field); });
  return config;
}

struct Anything {
  template <class T>
  operator T() const;  // NOLINT(google-explicit-constructor): stands in for any member
};

// How many members an aggregate has, also those that nobody lists.
template <class Aggregate, class... Members>
constexpr std::size_t count_members() {
  if constexpr (requires { Aggregate{Members{}..., Anything{}}; }) {
    return count_members<Aggregate, Members..., Anything>();
  } else {
    return sizeof...(Members);
  }
}

template <class Settings>
std::size_t count_visited() {
  std::size_t count = 0;
  for_each_field(Settings{}, [&count](const char*, const auto&) { ++count; });
  return count;
}

using Value = std::variant<std::string, Texts, TextMap, Milliseconds, Balance, bool, std::uint32_t, std::uint64_t>;

std::map<std::string, Value> values_of(const Config& config) {
  std::map<std::string, Value> values;
  for_each_field(config, [&values](const char* name, const auto& field) {
    if constexpr (!std::is_same_v<std::decay_t<decltype(field)>, HttpLimits>) values.emplace(name, field);
  });
  for_each_field(config.http, [&values](const char* name, const auto& field) { values.emplace(name, field); });
  return values;
}

}  // namespace

TEST_CASE("every member of the configuration is one of the listed fields") {
  CHECK(count_visited<Config>() == count_members<Config>());
  CHECK(count_visited<HttpLimits>() == count_members<HttpLimits>());
}

TEST_CASE("a worker gets every field of the configuration unchanged") {
  const auto defaults = values_of(Config{});
  const auto before = values_of(changed());
  const std::string record = to_json(changed());
  const auto after = values_of(config_from_json(record));
  CHECK(record.find('\n') == std::string::npos);
  REQUIRE(after.size() == defaults.size());
  for (const auto& [name, value] : before) {
    INFO(name);
    CHECK(value != defaults.at(name));
    CHECK(after.at(name) == value);
  }
}

TEST_CASE("a configuration record that is damaged is refused with the field's name") {
  auto record = nlohmann::json::parse(to_json({}));
  record["backlog"] = "many";
  CHECK(contains(error_of([&] { (void)config_from_json(record.dump()); }), "backlog"));
  record = nlohmann::json::parse(to_json({}));
  record["http"]["max_body"] = "much";
  CHECK(contains(error_of([&] { (void)config_from_json(record.dump()); }), "max_body"));
  record = nlohmann::json::parse(to_json({}));
  record["balance"] = "luck";
  CHECK(contains(error_of([&] { (void)config_from_json(record.dump()); }), "luck"));
  CHECK_THROWS_AS(config_from_json("{"), std::runtime_error);
  CHECK_THROWS_AS(config_from_json("[]"), std::runtime_error);
}

TEST_CASE("the embedded Redis and the control socket live in the runtime directory") {
  Config config;
  config.runtime_dir = "/run/pronghorn";
  CHECK(redis_address(config) == "unix:/run/pronghorn/redis.sock");
  CHECK(control_path(config) == "/run/pronghorn/control.sock");
  config.redis = "none";
  config.control = "/tmp/c";
  CHECK(redis_address(config) == "none");
  CHECK(control_path(config) == "/tmp/c");
}

TEST_CASE("balances are called as on the command line") {
  CHECK(std::string(to_string(Balance::reuseport)) == "reuseport");
  CHECK(std::string(to_string(Balance::least_response_time)) == "least-response-time");
  CHECK(std::string(to_string(Balance::cookie_hash)) == "cookie-hash");
}
