// Errors at start: each prints one clear line, exits with the right status, does not hang, and leaves nothing running.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <sstream>

#include "support/catch.h"
#include "support/paths.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

struct BadStart {
  std::string name;
  std::vector<std::string> arguments;  // of `pronghorn`
  int status;
  std::vector<std::string> said;  // the message contains each
  Environment environment{};
  std::size_t lines = 1;  // of the message
};

std::vector<std::string> lines_with(const std::string& text, const std::string& what) {
  std::istringstream lines(text);
  std::vector<std::string> found;
  for (std::string line; std::getline(lines, line);) {
    if (line.find(what) != std::string::npos) found.push_back(line);
  }
  return found;
}

// Whether the line is about the end of a worker: "worker 0 (pid 812) ended in f report=…", or a frame of its stack.
bool is_of_report(const std::string& line) {
  return line.find(" ended in ") != std::string::npos || line.find("   #") != std::string::npos;
}

// With status 2 nothing has been started, and the line is the whole output. With status 3 it is the only error in the
// log besides the lines about a worker that ended.
void check_bad_start(const BadStart& start) {
  INFO(start.name);
  const TempDir directory;
  std::vector<std::string> command = start.arguments;
  command.insert(command.begin(), program_path());
  Environment environment{{"PRONGHORN_RUNTIME_DIR", directory / "run"}, {"PRONGHORN_DATA_DIR", directory / "data"}};
  environment.insert(environment.end(), start.environment.begin(), start.environment.end());
  const auto begin = Clock::now();
  const ProgramResult result = run_program(command, environment, 15s, directory.path());
  INFO("status " << result.status << " after "
                 << std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count() << " ms:\n"
                 << result.all());
  CHECK_FALSE(result.timed_out);
  CHECK(result.status == start.status);
  CHECK(result.out.empty());
  std::vector<std::string> lines = lines_with(result.err, start.status == 2 ? "" : " error ");
  std::erase_if(lines, is_of_report);
  CHECK(lines.size() == start.lines);
  if (lines.empty()) return;
  for (const std::string& text : start.said) CHECK(lines[0].find(text) != std::string::npos);
  CHECK(eventually(3s, [&] { return processes_of(directory.path()).empty(); }));
}

std::vector<std::string> serve(std::vector<std::string> more, const std::string& app = app_path("demo")) {
  std::vector<std::string> arguments{"serve", app, "--listen", "127.0.0.1:0", "--redis", "none", "--workers", "2"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::vector<std::string> serve_redis(const std::string& url) {
  return {"serve", app_path("demo"), "--listen", "127.0.0.1:0", "--redis", url};
}

}  // namespace

// It said "cannot size the scoreboard: File too large".
TEST_CASE("a limit that forbids the server's shared memory is reported with what to raise", "[start]") {
  for (const auto& [limit, advice] :
       {std::pair{"--fsize=1000000:", "raise the limit of file sizes (ulimit -f, LimitFSIZE=)"},
        std::pair{"--as=300000000:", "raise the limit of address space (ulimit -v, LimitAS=)"}}) {
    const bool is_of_addresses = std::string_view(limit).starts_with("--as");
    if (is_sanitized() && is_of_addresses) continue;  // AddressSanitizer reserves terabytes
    const TempDir directory;
    const ProgramResult result =
        run_program({"prlimit", limit, program_path(), "serve", app_path("demo"), "--listen", "127.0.0.1:0", "--redis",
                     "none", "--runtime-dir", directory / "run", "--data-dir", directory / "data"});
    INFO(result.all());
    CHECK(result.status == 2);
    CHECK(result.err.find(advice) != std::string::npos);
    CHECK(lines_with(result.err, "").size() == 1);
  }
}

TEST_CASE("an invalid command line is reported in one line, status 2", "[start]") {
  for (const BadStart& start : std::vector<BadStart>{
           {"unknown option", serve({"--drain-timout", "3s"}), 2, {"--drain-timout", "--drain-timeout"}},
           {"unknown command", {"sevre", app_path("demo")}, 2, {"sevre", "serve"}},
           {"no value", serve({"--drain-timeout"}), 2, {"--drain-timeout"}},
           {"no duration", serve({"--drain-timeout", "soon"}), 2, {"drain-timeout", "soon"}},
           {"a duration without unit", serve({"--drain-timeout", "30"}), 2, {"drain-timeout", "30"}},
           {"no size", serve({"--max-body", "much"}), 2, {"max-body", "much"}},
           {"no number of workers", serve({"--workers", "many"}), 2, {"workers", "many"}},
           {"zero workers", serve({"--workers", "0"}), 2, {"workers"}},
           {"an empty range of workers", serve({"--workers", "4..2"}), 2, {"4..2"}},
           {"no balance", serve({"--balance", "fair"}), 2, {"balance", "fair"}},
           {"no log level", serve({"--log-level", "loud"}), 2, {"log-level", "loud"}},
           {"no address", serve({"--listen", "here"}), 2, {"listen", "here"}},
           {"a port above 65535", serve({"--listen", "127.0.0.1:70000"}), 2, {"70000"}},
           {"an address of another machine", serve({"--listen", "192.0.2.1:8080"}), 2, {"192.0.2.1:8080"}},
           {"a unix socket in no folder", serve({"--listen", "unix:/nonexistent/x.sock"}), 2, {"/nonexistent/x.sock"}},
           {"a log in no folder",
            serve({"--log-file", "/nonexistent/x.log"}),
            2,
            {"log_file /nonexistent/x.log: No such file or directory", "--log-file"}},
           {"an access log in no folder",
            serve({"--access-log", "/nonexistent/a.log"}),
            2,
            {"access_log /nonexistent/a.log: No such file or directory", "--access-log"}},
           {"too little memory for Redis", serve({"--redis-memory", "1"}), 2, {"redis-memory", "use 0, or 8MiB to"}},
           {"two applications", serve({app_path("hello")}), 2, {"hello.so"}},
           {"no application", {"serve"}, 2, {"serve"}}}) {
    check_bad_start(start);
  }
}

TEST_CASE("an invalid environment is reported in one line, status 2", "[start]") {
  check_bad_start({"PORT", {"serve", app_path("demo")}, 2, {"PORT"}, {{"PORT", "http"}}});
  check_bad_start(
      {"WEB_CONCURRENCY", {"serve", app_path("demo")}, 2, {"WEB_CONCURRENCY"}, {{"WEB_CONCURRENCY", "-1"}}});
  check_bad_start({"REDIS_URL", {"serve", app_path("demo")}, 2, {"REDIS_URL"}, {{"REDIS_URL", "http://a"}}});
  check_bad_start(
      {"PRONGHORN_MAX_BODY", {"serve", app_path("demo")}, 2, {"PRONGHORN_MAX_BODY"}, {{"PRONGHORN_MAX_BODY", "x"}}});
}

TEST_CASE("an invalid configuration file is reported with its line, status 2", "[start]") {
  const TempDir files;
  const std::string file = files / "my.toml";
  const auto check_file = [&](const std::string& name, const std::string& content, std::vector<std::string> said) {
    write_file(file, content);
    check_bad_start({name, serve({"--config", file}), 2, std::move(said)});
  };
  check_file("unknown key", "drain_timeout = \"3s\"\nworker_timout = \"3s\"\n",
             {"worker_timout", "worker_timeout", "my.toml", "2"});
  check_file("malformed", "workers = \n", {"my.toml", "1"});
  check_file("wrong value", "max_body = \"much\"\n", {"max_body", "much", "my.toml"});
  check_file("wrong type", "max_body = [1, 2]\n", {"max_body", "my.toml"});
  check_file("twice", "workers = 1\nworkers = 2\n", {"my.toml", "2"});
  check_file("binary",
             std::string("\x7f"
                         "ELF\0\1\2",
                         7),
             {"my.toml"});
  check_bad_start({"missing", serve({"--config", files / "none.toml"}), 2, {"none.toml"}});
  check_bad_start({"a folder", serve({"--config", files.path()}), 2, {files.path()}});
  const std::string fifo = files / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  check_bad_start({"a pipe", serve({"--config", fifo}), 2, {fifo, "not a regular file"}});
}

TEST_CASE("a malformed Redis URL is reported in one line, status 2", "[start]") {
  for (const char* url : {"redis//a", "http://127.0.0.1:6379", "redis://127.0.0.1:99999", "redis://127.0.0.1:port",
                          "redis://127.0.0.1/x", "unix:", "localhost:6379", "redis://"}) {
    check_bad_start({url, serve_redis(url), 2, {"redis"}});
  }
  check_bad_start({"with a password", serve_redis("redis://u:secret@127.0.0.1:port"), 2, {"redis"}});
  const auto result =
      run_program({program_path(), "serve", app_path("demo"), "--redis", "redis://u:secret@127.0.0.1:port"});
  CHECK(result.all().find("secret") == std::string::npos);
}

TEST_CASE("a port in use is refused, although SO_REUSEPORT would let it be shared", "[start]") {
  const ServerProcess first({.workers = 1});
  const std::string address = first.address().text();
  check_bad_start(
      {"by Pronghorn", {"serve", app_path("demo"), "--listen", address, "--redis", "none"}, 2, {address, "use"}});

  const int other = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof own;
  REQUIRE(::bind(other, reinterpret_cast<sockaddr*>(&own), size) == 0);
  REQUIRE(::listen(other, 1) == 0);
  REQUIRE(::getsockname(other, reinterpret_cast<sockaddr*>(&own), &size) == 0);
  const std::string taken = "127.0.0.1:" + std::to_string(ntohs(own.sin_port));
  check_bad_start(
      {"by another program", {"serve", app_path("demo"), "--listen", taken, "--redis", "none"}, 2, {taken, "use"}});
  ::close(other);
  CHECK(get(first.address(), "/hello").status == 200);
}

// Every error was told as "another server is using it".
TEST_CASE("a directory that cannot be locked is refused with the reason, status 2", "[start]") {
  const TempDir directory;
  const ProgramResult result = run_program({build_path("/tests/refuse_call"), "flock", std::to_string(ENOLCK),
                                            program_path(), "serve", app_path("hello"), "--redis", "none",
                                            "--runtime-dir", directory / "run", "--data-dir", directory / "data"});
  INFO(result.all());
  CHECK(result.status == 2);
  CHECK(result.err.find("it cannot be locked: No locks available; choose another directory") != std::string::npos);
  CHECK(result.err.find("another server") == std::string::npos);
  CHECK(std::ranges::count(result.err, '\n') == 1);
}

TEST_CASE("an application that cannot be loaded is named, status 2 or 3", "[start]") {
  const TempDir files;
  write_file(files / "text.so", "this is no shared object\n");
  check_bad_start({"missing", serve({}, files / "missing.so"), 2, {"missing.so"}});
  check_bad_start({"a folder", serve({}, files.path()), 2, {files.path()}});
  check_bad_start({"text", serve({}, files / "text.so"), 3, {"text.so"}});
  check_bad_start({"a library that is no plugin", serve({}, build_path("/libpronghorn.so")), 3, {"libpronghorn.so"}});
  check_bad_start(
      {"another API version", serve({}, app_path("apps/other_api_version")), 3, {"API", "other_api_version.so"}});
}

TEST_CASE("an application that throws at start ends the server with its reason, status 3", "[start]") {
  check_bad_start({"in its setup", serve({}, app_path("apps/throws_in_setup")), 3, {"the price list is missing"}});
  check_bad_start(
      {"in on_start", serve({}, app_path("apps/throws_in_on_start")), 3, {"the warehouse does not answer"}});
}

TEST_CASE("an application that never becomes ready ends the server after boot_timeout, status 3", "[start]") {
  check_bad_start({.name = "never ready",
                   .arguments = {"serve", app_path("apps/never_ready"), "--listen", "127.0.0.1:0", "--redis", "none",
                                 "--workers", "1", "--boot-timeout", "700ms"},
                   .status = 3,
                   .said = {"boot_timeout"},
                   .lines = 2});  // which worker it was, and that the server gives up
}
