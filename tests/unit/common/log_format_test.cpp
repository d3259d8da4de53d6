#include "common/log_format.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/catch.h"

using namespace pronghorn;

namespace {

std::string text_line(std::string_view message, const std::vector<LogField>& fields, LogLevel level = LogLevel::info) {
  const LogEvent event{"2026-11-22T04:46:36.123Z", level, "supervisor", 4242, message, fields.data(), fields.size()};
  return log_line_text(event, false);
}

std::string json_line(std::string_view message, const std::vector<LogField>& fields) {
  const LogEvent event{
      "2026-11-22T04:46:36.123Z", LogLevel::warning, "worker 0", 7, message, fields.data(), fields.size()};
  return log_line_json(event);
}

nlohmann::json parsed(std::string_view message, const std::vector<LogField>& fields = {}) {
  return nlohmann::json::parse(json_line(message, fields));
}

bool is_one_line(const std::string& line) { return line.find('\n') == line.size() - 1; }

}  // namespace

TEST_CASE("a text line shows time, level, process, message and fields") {
  CHECK(text_line("worker exited", {{"slot", 3}, {"reason", "signal 11"}, {"path", "/a"}}) ==
        "2026-11-22T04:46:36.123Z info  supervisor[4242] worker exited slot=3 reason=\"signal 11\" path=/a\n");
}

TEST_CASE("text levels are five letters wide") {
  CHECK(text_line("m", {}, LogLevel::error).find(" error supervisor") != std::string::npos);
  CHECK(text_line("m", {}, LogLevel::warning).find(" warn  supervisor") != std::string::npos);
  CHECK(text_line("m", {}, LogLevel::debug).find(" debug supervisor") != std::string::npos);
}

TEST_CASE("no message or value can begin a line of its own in a text log") {
  const std::string line = text_line("a\r\nb\u2028c\u0085d", {{"value", "x\ny"}, {"bad\nname", "z"}});
  CHECK(is_one_line(line));
  CHECK(line.find("a\\r\\nb\\u2028c\\u0085d value=\"x\\ny\" bad_name=z") != std::string::npos);
}

TEST_CASE("a text log cannot steer a terminal") {
  const std::string line = text_line("\x1b[2J\x7f\u202e", {{"v", "\x9b"}});
  CHECK(line.find('\x1b') == std::string::npos);
  CHECK(line.find("\\x1b[2J\\x7f\\u202e v=\"\\x9b\"") != std::string::npos);
}

TEST_CASE("a text value that holds quotes or looks like a field is quoted") {
  CHECK(text_line("m", {{"v", "say \"hi\""}}).find(R"(v="say \"hi\"")") != std::string::npos);
  CHECK(text_line("m", {{"v", "a=b"}}).find(R"(v="a=b")") != std::string::npos);
  CHECK(text_line("m", {{"v", "a\\b"}}).find(R"(v="a\\b")") != std::string::npos);
  CHECK(text_line("m", {{"v", ""}}).find(R"(v="")") != std::string::npos);
}

TEST_CASE("text that is UTF-8 stays readable and bytes that are not are escaped") {
  CHECK(text_line("caf\u00e9", {{"v", "\xff\xc3"}}).find("caf\u00e9 v=\"\\xff\\xc3\"") != std::string::npos);
}

TEST_CASE("a JSON line holds the event's members with their types") {
  const nlohmann::json line = parsed("worker exited", {{"slot", 3}, {"load", 0.5}, {"text", "3"}});
  CHECK(line["time"] == "2026-11-22T04:46:36.123Z");
  CHECK(line["level"] == "warning");
  CHECK(line["process"] == "worker 0");
  CHECK(line["pid"] == 7);
  CHECK(line["message"] == "worker exited");
  CHECK(line["slot"] == 3);
  CHECK(line["load"] == 0.5);
  CHECK(line["text"] == "3");
}

TEST_CASE("every byte string makes a valid JSON line") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  for (const std::string& text : {all, std::string("\xe2\x80"), std::string("\xed\xa0\x80"), std::string("\xf5"),
                                  std::string("\xc0\x80"), std::string("a\"b\\c\nd")}) {
    const std::string line = json_line(text, {{"value", text}, {text, "v"}});
    CHECK(is_one_line(line));
    CHECK(nlohmann::json::accept(line));
  }
  CHECK(parsed("a\"b\\c\nd")["message"] == "a\"b\\c\nd");
  CHECK(parsed("\xff")["message"] == "\\xff");
}

TEST_CASE("numbers that JSON cannot represent are written as text") {
  const nlohmann::json line = parsed("m", {{"a", std::numeric_limits<double>::quiet_NaN()},
                                           {"b", std::numeric_limits<double>::infinity()},
                                           LogField{"c", std::string("1, \"x\": 2"), false},
                                           LogField{"d", std::string("true"), false}});
  CHECK(line["a"].is_string());
  CHECK(line["b"] == "inf");
  CHECK(line["c"] == "1, \"x\": 2");
  CHECK(line["d"] == true);
}

TEST_CASE("a field cannot be taken for a member of the event") {
  const nlohmann::json line = parsed("real", {{"message", "forged"}, {"pid", 1}});
  CHECK(line["message"] == "real");
  CHECK(line["message_"] == "forged");
  CHECK(line["pid"] == 7);
}

TEST_CASE("times are RFC 3339 in UTC") {
  CHECK(rfc3339(0) == "1970-01-01T00:00:00Z");
  CHECK(rfc3339(1795322796, 5) == "2026-11-22T04:46:36.005Z");
}
