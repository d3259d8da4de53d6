#include "common/config/config.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <type_traits>

#include "common/config/record.h"
#include "common/text/json_text.h"

namespace pronghorn {
namespace {

using nlohmann::json;

constexpr std::array<const char*, 8> kBalanceNames{"reuseport",         "shared",     "round-robin",
                                                   "least-connections", "random",     "least-response-time",
                                                   "ip-hash",           "cookie-hash"};

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
  for_each_field(http, [&](const char* name, const auto& value) { object[name] = write(value); });
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
  throw std::runtime_error("unknown balance " + name);
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

// Reads one member of `object`; an error names it. A missing member keeps its default: the record may be of another
// version.
auto member_reader(const json& object) {
  return [&object](const char* name, auto& value) {
    const auto member = object.find(name);
    if (member == object.end()) return;
    try {
      read(*member, value);
    } catch (const std::exception& error) {
      throw std::runtime_error(fmt::format("configuration record: {}: {}", name, error.what()));
    }
  };
}

void read(const json& record, HttpLimits& http) { for_each_field(http, member_reader(record)); }

}  // namespace

std::string redis_address(const Config& config) {
  return config.redis == "embedded" ? "unix:" + config.runtime_dir + "/redis.sock" : config.redis;
}

std::string control_path(const Config& config) {
  return config.control.empty() ? config.runtime_dir + "/control.sock" : config.control;
}

std::string to_json(const Config& config) {
  json object = json::object();
  for_each_field(config, [&](const char* name, const auto& value) { object[name] = write(value); });
  return dump_json(object);
}

Config config_from_json(const std::string& text) {
  const json object = try_parse_json(text);
  if (!object.is_object()) throw std::runtime_error("configuration record: not a JSON object");
  Config config;
  for_each_field(config, member_reader(object));
  return config;
}

const char* to_string(Balance balance) noexcept {
  const auto index = static_cast<std::size_t>(balance);
  return index < kBalanceNames.size() ? kBalanceNames[index] : "unknown";
}

}  // namespace pronghorn
