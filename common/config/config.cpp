#include "common/config/config.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <type_traits>

#include "common/config/record.h"

namespace pronghorn {
namespace {

using nlohmann::json;

constexpr std::array<const char*, 8> kBalanceNames{"reuseport",         "shared",     "round-robin",
                                                   "least-connections", "random",     "least-response-time",
                                                   "ip-hash",           "cookie-hash"};

// Every field once, for writing and for reading.
template <class Limits, class Visitor>
void visit_http(Limits& http, Visitor&& field) {
  field("max_request_line", http.max_request_line);
  field("max_header_bytes", http.max_header_bytes);
  field("max_header_fields", http.max_header_fields);
  field("max_body", http.max_body);
  field("header_timeout", http.header_timeout);
  field("body_timeout", http.body_timeout);
  field("min_receive_rate", http.min_receive_rate);
  field("write_timeout", http.write_timeout);
  field("keep_alive_timeout", http.keep_alive_timeout);
  field("keep_alive_requests", http.keep_alive_requests);
  field("keep_alive_age", http.keep_alive_age);
  field("request_timeout", http.request_timeout);
  field("max_connections", http.max_connections);
  field("max_in_flight", http.max_in_flight);
  field("max_queued_output", http.max_queued_output);
}

template <class Settings, class Visitor>
void visit(Settings& config, Visitor&& field) {
  field("app", config.app);
  field("app_file", config.app_file);
  field("name", config.name);
  field("name_is_default", config.name_is_default);
  field("listen", config.listen);
  field("min_workers", config.min_workers);
  field("max_workers", config.max_workers);
  field("balance", config.balance);
  field("backlog", config.backlog);
  field("ipv6_only", config.ipv6_only);
  field("unix_mode", config.unix_mode);
  field("unix_owner", config.unix_owner);
  field("proxy_protocol", config.proxy_protocol);
  field("trusted_proxies", config.trusted_proxies);
  field("forwarding_fields", config.forwarding_fields);
  field("redis", config.redis);
  field("redis_timeout", config.redis_timeout);
  field("redis_server", config.redis_server);
  field("redis_memory", config.redis_memory);
  field("control", config.control);
  field("runtime_dir", config.runtime_dir);
  field("data_dir", config.data_dir);
  field("drain_delay", config.drain_delay);
  field("drain_timeout", config.drain_timeout);
  field("worker_timeout", config.worker_timeout);
  field("stall_threshold", config.stall_threshold);
  field("boot_timeout", config.boot_timeout);
  field("recycle_requests", config.recycle_requests);
  field("recycle_age", config.recycle_age);
  field("recycle_memory", config.recycle_memory);
  field("quarantine_time", config.quarantine_time);
  field("canary", config.canary);
  field("log_format", config.log_format);
  field("log_level", config.log_level);
  field("log_file", config.log_file);
  field("access_log", config.access_log);
  field("admin", config.admin);
  field("admin_networks", config.admin_networks);
  field("health_path", config.health_path);
  field("ready_path", config.ready_path);
  field("status_path", config.status_path);
  field("metrics_path", config.metrics_path);
  field("offload_threads", config.offload_threads);
  field("session_cookie", config.session_cookie);
  field("session_ttl", config.session_ttl);
  field("session_first_ttl", config.session_first_ttl);
  field("http", config.http);
  field("app_settings", config.app_settings);
}

json write(const std::string& text) { return text_to_record(text); }
json write(Milliseconds duration) { return duration.count(); }
json write(Balance balance) { return to_string(balance); }
template <class Number>
  requires std::is_arithmetic_v<Number>
json write(Number number) {
  return number;
}
json write(const std::vector<std::string>& texts) {
  json list = json::array();
  for (const std::string& text : texts) list.push_back(write(text));
  return list;
}
json write(const std::map<std::string, std::string>& settings) {  // pairs: a key may be any bytes, too
  json list = json::array();
  for (const auto& [key, value] : settings) list.push_back(json::array({write(key), write(value)}));
  return list;
}
json write(const HttpLimits& http) {
  json object = json::object();
  visit_http(http, [&](const char* name, const auto& value) { object[name] = write(value); });
  return object;
}

void read(const json& record, std::string& text) { text = text_from_record(record); }
void read(const json& record, Milliseconds& duration) { duration = Milliseconds(record.get<Milliseconds::rep>()); }
void read(const json& record, Balance& balance) {
  const auto name = record.get<std::string>();
  for (std::size_t i = 0; i < kBalanceNames.size(); ++i) {
    if (name == kBalanceNames[i]) {
      balance = static_cast<Balance>(i);
      return;
    }
  }
  throw std::runtime_error("no balance is called " + name);
}
template <class Number>
  requires std::is_arithmetic_v<Number>
void read(const json& record, Number& number) {
  number = record.get<Number>();
}
void read(const json& record, std::vector<std::string>& texts) {
  texts.clear();
  for (const json& text : record) texts.push_back(text_from_record(text));
}
void read(const json& record, std::map<std::string, std::string>& settings) {
  settings.clear();
  for (const json& pair : record) settings[text_from_record(pair.at(0))] = text_from_record(pair.at(1));
}
void read(const json& record, HttpLimits& http);

// Reads one member of `object`, naming it when that fails.
auto member_reader(const json& object) {
  return [&object](const char* name, auto& value) {
    try {
      read(object.at(name), value);
    } catch (const std::exception& error) {
      throw std::runtime_error(fmt::format("configuration record: {}: {}", name, error.what()));
    }
  };
}

void read(const json& record, HttpLimits& http) { visit_http(http, member_reader(record)); }

}  // namespace

std::string redis_address(const Config& config) {
  return config.redis == "embedded" ? "unix:" + config.runtime_dir + "/redis.sock" : config.redis;
}

std::string control_path(const Config& config) {
  return config.control.empty() ? config.runtime_dir + "/control.sock" : config.control;
}

std::string to_json(const Config& config) {
  json object = json::object();
  visit(config, [&](const char* name, const auto& value) { object[name] = write(value); });
  return object.dump();
}

Config config_from_json(const std::string& text) {
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) throw std::runtime_error("configuration record: it is not a JSON object");
  Config config;
  visit(config, member_reader(object));
  return config;
}

const char* to_string(Balance balance) noexcept {
  const auto index = static_cast<std::size_t>(balance);
  return index < kBalanceNames.size() ? kBalanceNames[index] : "unknown";
}

}  // namespace pronghorn
