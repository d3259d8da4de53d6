#include "common/config/config.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "support/catch.h"
#include "unit/common/error_of.h"

using namespace pronghorn;

namespace {

// A configuration in which no field has its default.
Config unusual() {
  Config config;
  config.app = "/srv/\xff\xfe/app.so";  // a path is any bytes
  config.name = "shop";
  config.listen = {"[::1]:1", "unix:/run/a b.sock"};
  config.min_workers = 2;
  config.max_workers = 9;
  config.balance = Balance::cookie_hash;
  config.backlog = 7;
  config.ipv6_only = false;
  config.unix_mode = 0640;
  config.unix_owner = "www:web";
  config.proxy_protocol = {"192.0.2.0/24"};
  config.trusted_proxies = {"unix"};
  config.redis = "redis://:p%40ss@db:6380/2";
  config.redis_timeout = Milliseconds(11);
  config.redis_server = "/opt/redis";
  config.control = "/run/c";
  config.runtime_dir = "/run/p";
  config.data_dir = "/var/p";
  config.drain_delay = Milliseconds(12);
  config.drain_timeout = Milliseconds(13);
  config.worker_timeout = Milliseconds(14);
  config.stall_threshold = Milliseconds(140);
  config.boot_timeout = Milliseconds(15);
  config.recycle_requests = 17;
  config.recycle_age = Milliseconds(18);
  config.recycle_memory = 19;
  config.quarantine_time = Milliseconds(20);
  config.canary = Milliseconds(21);
  config.app_file = "/run/p/apps/1.1-a.so";
  config.log_format = "json";
  config.log_level = "debug";
  config.log_file = "/var/log/p";
  config.access_log = "-";
  config.admin = "127.0.0.1:9";
  config.admin_networks = {"10.0.0.0/8"};
  config.health_path = "";
  config.ready_path = "/r";
  config.status_path = "/s";
  config.metrics_path = "/m";
  config.offload_threads = 8;
  config.session_cookie = "sid";
  config.session_ttl = Milliseconds(16);
  config.http = {.max_request_line = 1,
                 .max_header_bytes = 2,
                 .max_header_fields = 3,
                 .max_body = 5'000'000'000,
                 .header_timeout = Milliseconds(4),
                 .body_timeout = Milliseconds(5),
                 .min_receive_rate = 12,
                 .write_timeout = Milliseconds(6),
                 .keep_alive_timeout = Milliseconds(7),
                 .keep_alive_requests = 8,
                 .keep_alive_age = Milliseconds(13),
                 .request_timeout = Milliseconds(9),
                 .max_connections = 10,
                 .max_in_flight = 11,
                 .max_queued_output = 14};
  config.app_settings = {{"key", "value\n"}, {std::string("\0k", 2), "\x80"}};
  return config;
}

}  // namespace

TEST_CASE("a worker gets every field of the configuration as it was") {
  const Config before = unusual();
  const Config after = config_from_json(to_json(before));
  CHECK(to_json(after) == to_json(before));
  CHECK(after.app == before.app);
  CHECK(after.listen == before.listen);
  CHECK(after.balance == Balance::cookie_hash);
  CHECK(after.http.max_body == 5'000'000'000);
  CHECK(after.http.max_in_flight == 11);
  CHECK(after.session_ttl == Milliseconds(16));
  CHECK(after.app_settings == before.app_settings);
  CHECK(to_json(before).find('\n') == std::string::npos);
}

TEST_CASE("no field of the configuration is left out of the record") {
  // Every member that differs from its default must also differ in the record.
  const auto defaults = nlohmann::json::parse(to_json({}));
  const auto changed = nlohmann::json::parse(to_json(unusual()));
  CHECK(changed.size() == 44);
  CHECK(changed["http"].size() == 15);
  for (const auto& [name, value] : changed.items()) {
    INFO(name);
    CHECK(value != defaults[name]);
  }
}

TEST_CASE("a configuration record that is damaged is refused with the field's name") {
  auto record = nlohmann::json::parse(to_json({}));
  record["backlog"] = "many";
  CHECK(contains(error_of([&] { (void)config_from_json(record.dump()); }), "backlog"));
  record = nlohmann::json::parse(to_json({}));
  record["http"].erase("max_body");
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
