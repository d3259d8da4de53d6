#include "server/command_line.h"

#include <algorithm>
#include <sstream>

#include "server/help.h"
#include "server/options/options.h"
#include "server/options/values/values.h"
#include "support/catch.h"

using namespace pronghorn::server;

namespace {

using Arguments = std::vector<std::string>;

ParsedCommand parse(const char* command, const Arguments& arguments, bool embedded = false) {
  return parse_command(*find_command(command), arguments, embedded);
}

std::string refusal(const char* command, const Arguments& arguments, bool embedded = false) {
  try {
    (void)parse(command, arguments, embedded);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

Arguments values_of(const ParsedCommand& parsed, const std::string& option) {
  for (const GivenOption& given : parsed.options) {
    if (given.name == option) return given.values;
  }
  return {};
}

}  // namespace

TEST_CASE("serve takes the application among options in any order", "[command_line]") {
  for (const Arguments& arguments :
       {Arguments{"demo.so", "--listen", ":1", "--workers", "2"}, Arguments{"--listen", ":1", "demo.so", "--workers=2"},
        Arguments{"--workers=2", "--listen=:1", "demo.so"}}) {
    const ParsedCommand parsed = parse("serve", arguments);
    CHECK(parsed.argument == "demo.so");
    CHECK(values_of(parsed, "listen") == Arguments{":1"});
    CHECK(values_of(parsed, "workers") == Arguments{"2"});
  }
}

TEST_CASE("--listen may be repeated, and of other options the last one counts", "[command_line]") {
  const ParsedCommand parsed =
      parse("serve", {"--listen", ":1", "demo.so", "--listen", "[::1]:2", "--workers", "1", "--workers", "2"});
  CHECK(values_of(parsed, "listen") == Arguments{":1", "[::1]:2"});
  CHECK(values_of(parsed, "workers") == Arguments{"2"});
}

TEST_CASE("a dash and an empty text are values", "[command_line]") {
  const ParsedCommand parsed = parse("serve", {"--access-log", "-", "--health-path=", "demo.so", "--ready-path", ""});
  CHECK(values_of(parsed, "access_log") == Arguments{"-"});
  CHECK(values_of(parsed, "health_path") == Arguments{""});
  CHECK(values_of(parsed, "ready_path") == Arguments{""});
  CHECK(parsed.argument == "demo.so");
}

TEST_CASE("every option can be given to serve and to check", "[command_line]") {
  for (const Option& option : options()) {
    CAPTURE(option.name);
    CHECK(values_of(parse("serve", {"demo.so", option.flag(), "x"}), option.name) == Arguments{"x"});
    CHECK(values_of(parse("check", {option.flag() + "=x"}), option.name) == Arguments{"x"});
  }
}

TEST_CASE("an unknown option is refused with the one that was meant", "[command_line]") {
  CHECK(refusal("serve", {"demo.so", "--worker", "2"}) == "unknown option \"--worker\"; did you mean \"--workers\"?");
  CHECK(refusal("serve", {"demo.so", "--drain_timeout=3s"}) ==
        "unknown option \"--drain_timeout\"; did you mean \"--drain-timeout\"?");
  CHECK(refusal("reload", {"--wiat"}) == "unknown option \"--wiat\"; did you mean \"--wait\"?");
  CHECK(refusal("serve", {"demo.so", "-w"}) == "unknown option \"-w\"; see \"help serve\"");
  CHECK(refusal("status", {"--listen", ":1"}).find("unknown option \"--listen\"") == 0);
}

TEST_CASE("missing and superfluous arguments are refused", "[command_line]") {
  CHECK(refusal("serve", {}).find("APP.so is missing") != std::string::npos);
  CHECK(refusal("scale", {}).find("N|+N|-N is missing") != std::string::npos);
  CHECK(refusal("serve", {"a.so", "b.so"}) == "serve: unexpected argument \"b.so\"");
  CHECK(refusal("version", {"x"}) == "version: unexpected argument \"x\"");
  CHECK(refusal("serve", {"a.so", "--listen"}) == "--listen: its value is missing");
  CHECK(refusal("check", {}) == "accepted");
}

TEST_CASE("a number of workers may begin with a sign", "[command_line]") {
  for (const char* number : {"4", "+1", "-1", "-12"}) CHECK(parse("scale", {number}).argument == number);
}

TEST_CASE("a program with its own application takes no plugin", "[command_line]") {
  CHECK(parse("serve", {"--listen", ":1"}, true).argument.empty());
  CHECK(refusal("serve", {"demo.so"}, true) == "serve: unexpected argument \"demo.so\"");
  CHECK(parse("scale", {"2"}, true).argument == "2");
}

TEST_CASE("flags and --help are told apart", "[command_line]") {
  CHECK(parse("status", {"--json"}).has("--json"));
  CHECK_FALSE(parse("status", {}).has("--json"));
  CHECK(parse("serve", {"--help"}).help);
  CHECK(parse("serve", {"-h", "--nonsense"}).help);
}

TEST_CASE("help explains every option in lines of at most 100 columns", "[command_line]") {
  std::string all = program_help("pronghorn", false) + program_help("shop", true);
  for (const Command& command : commands()) all += command_help(command, "pronghorn", false);
  for (const Option& option : options()) {
    CAPTURE(option.name);
    CHECK(all.find("  " + option.flag() + " ") != std::string::npos);
    CHECK(all.find(option.variable()) != std::string::npos);
  }
  std::istringstream lines(all);
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    CHECK(line.size() <= 100);
  }
}

TEST_CASE("an option that is true or false may stand without a value", "[command_line]") {
  const auto value = [](const Arguments& arguments) {
    const ParsedCommand parsed = parse("serve", arguments);
    CHECK(parsed.argument == "a.so");
    return values_of(parsed, "redirect_http");
  };
  CHECK(value({"--redirect-http", "a.so"}) == Arguments{"true"});
  CHECK(value({"a.so", "--redirect-http"}) == Arguments{"true"});
  CHECK(value({"a.so", "--redirect-http", "--backlog", "7"}) == Arguments{"true"});
  CHECK(value({"a.so", "--redirect-http", "false"}) == Arguments{"false"});
  CHECK(value({"a.so", "--redirect-http=false"}) == Arguments{"false"});
  CHECK(value({"a.so", "--redirect-http", "yes"}) == Arguments{"yes"});  // refused later, with a reason
}
