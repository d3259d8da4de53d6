#include "server/options/config_file.h"

#include "server/options/values/values.h"
#include "support/catch.h"

using namespace pronghorn::server;

namespace {

std::string refusal(const std::string& text) {
  try {
    (void)parse_config(text, "x.toml");
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a configuration file gives values as text with their lines", "[config_file]") {
  const ConfigFile file = parse_config("workers = 4\n\nredis = \"none\"\nlisten = [\":80\",\n  \":81\"]\n", "x.toml");
  REQUIRE(file.values.size() == 3);
  CHECK(file.values[0].key == "workers");
  CHECK(file.values[0].values == std::vector<std::string>{"4"});
  CHECK(file.values[0].line == 1);
  CHECK(file.values[1].key == "redis");
  CHECK(file.values[1].line == 3);
  CHECK(file.values[2].values == std::vector<std::string>{":80", ":81"});
  CHECK(file.values[2].line == 4);
}

// A mode that was written as 0o660 was refused as "432".
TEST_CASE("an octal number of the file is a mode as it is written", "[config_file]") {
  const ConfigFile file = parse_config("unix_mode = 0o660\n[app]\nmask = 0o022\n", "x.toml");
  REQUIRE(file.values.size() == 1);
  CHECK(file.values[0].values == std::vector<std::string>{"0o660"});
  CHECK(file.app_settings.at("mask") == "18");
}

// max_body = 0x1000 was refused as "0o10000".
TEST_CASE("a number in another base is the same number", "[config_file]") {
  const ConfigFile file = parse_config("max_body = 0x1000\nworkers = 0b10\n", "x.toml");
  REQUIRE(file.values.size() == 2);
  CHECK(file.values[0].values == std::vector<std::string>{"4096"});
  CHECK(file.values[1].values == std::vector<std::string>{"2"});
}

TEST_CASE("the application's settings are scalars as text", "[config_file]") {
  const ConfigFile file = parse_config(
      "[app]\ntext = \"hi\"\nnumber = 7\nhalf = 0.5\nyes = true\nday = 2026-11-22\n\"odd key\" = \"\"\n", "x.toml");
  CHECK(file.app_settings.at("text") == "hi");
  CHECK(file.app_settings.at("number") == "7");
  CHECK(file.app_settings.at("half") == "0.5");
  CHECK(file.app_settings.at("yes") == "true");
  CHECK(file.app_settings.at("day") == "2026-11-22");
  CHECK(file.app_settings.at("odd key").empty());
  CHECK(file.values.empty());
}

TEST_CASE("a setting that is a list or a table is refused by name and line", "[config_file]") {
  CHECK(refusal("[app]\n\nlist = [1]\n").find("x.toml:3: app.list: ") == 0);
  CHECK(refusal("[app.inner]\nx = 1\n").find("app.inner: ") != std::string::npos);
  CHECK(refusal("\napp = \"demo.so\"\n").find("x.toml:2: app: ") == 0);
}

TEST_CASE("a malformed configuration file is one line with its place", "[config_file]") {
  for (const char* text :
       {"workers = \n", "workers\n", "a = 1\na = 2\n", "[app\n", "x = \"\xff\"\n", "redis = redis://h\n"}) {
    const std::string message = refusal(text);
    CAPTURE(text, message);
    CHECK(message.find("x.toml:") == 0);
    CHECK(message.find('\n') == std::string::npos);
  }
}

TEST_CASE("a configuration file that cannot be read is named", "[config_file]") {
  CHECK_THROWS_AS(read_config_file("/nonexistent/x.toml"), UsageError);
  CHECK_THROWS_AS(read_config_file("/tmp"), UsageError);
  CHECK_THROWS_AS(read_config_file("/dev/zero"), UsageError);
}
