// Priorities for systemd's journal, which reads "<4>" at the beginning of a line of standard error.
#include <string>
#include <vector>

#include "support/catch.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

// As systemd starts a service: `stream` is a shell expression for the device and inode of standard error.
ServerOptions under_journal(const std::string& stream, std::vector<std::string> arguments = {}) {
  return {.command = {"sh", "-c", "JOURNAL_STREAM=" + stream + " exec \"$0\" \"$@\"", program_path(), "serve",
                      app_path("demo")},
          .workers = 1,
          .arguments = std::move(arguments)};
}

constexpr const char* kStandardError = "$(stat -L -c %d:%i /proc/self/fd/2)";

// The priority that a line of the log must have by its level.
std::string priority_of(const std::string& line) {
  for (const auto& [level, priority] :
       {std::pair{" debug ", "<7>"}, {" info ", "<6>"}, {" warn ", "<4>"}, {" error ", "<3>"}}) {
    if (line.find(level) < 45) return priority;  // behind the time
  }
  return "none";
}

void check_priorities(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    INFO(line);
    CHECK(line.starts_with(priority_of(line)));
  }
}

}  // namespace

TEST_CASE("lines on the journal's stream begin with their priority, also after a reload", "[systemd][log]") {
  const ServerProcess server(under_journal(kStandardError, {"--slow-request", "1ms"}));
  CHECK(post(server.address(), "/crash?how=throw").status == 500);
  CHECK(get(server.address(), "/slow?ms=20").status == 200);
  REQUIRE(eventually(10s, [&] { return server.log_has("slow request") && server.log_has("thrown on purpose"); }));
  for (const char* priority : {"<7>", "<6>", "<4>", "<3>"}) {
    CAPTURE(priority);
    CHECK_FALSE(server.log_lines(priority).empty());
  }
  check_priorities(server.log_lines(""));

  const std::size_t before = server.log_lines("").size();
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  CHECK(post(server.address(), "/crash?how=throw").status == 500);
  REQUIRE(eventually(10s, [&] { return server.log_lines("thrown on purpose").size() == 2; }));
  std::vector<std::string> lines = server.log_lines("");
  lines.erase(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(before));
  check_priorities(lines);
}

TEST_CASE("lines on another stream than the journal's have no priority", "[systemd][log]") {
  const std::string stream = GENERATE("1:1", "$(stat -L -c %d:1 /proc/self/fd/2)", "''", "x");
  CAPTURE(stream);
  const ServerProcess server(under_journal(stream));
  CHECK(get(server.address(), "/hello").status == 200);
  CHECK_FALSE(server.log_lines("").empty());
  for (const std::string& line : server.log_lines("")) CHECK_FALSE(line.starts_with("<"));
}

// The file is the one that standard error goes to, because the test reads the server's address there.
TEST_CASE("a log file has no priorities, although standard error is the journal", "[systemd][log]") {
  ServerOptions options = under_journal(kStandardError, {"--log-file", "server.log"});
  options.command.at(2).insert(0, "ln -s log server.log; ");
  const ServerProcess server(options);
  CHECK_FALSE(server.log_lines("").empty());
  for (const std::string& line : server.log_lines("")) CHECK_FALSE(line.starts_with("<"));
}
