// The commands of the program other than `serve`.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "support/catch.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

ProgramResult run_pronghorn(std::vector<std::string> arguments, const Environment& environment = {}) {
  arguments.insert(arguments.begin(), program_path());
  return run_program(arguments, environment);
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("pronghorn status shows every worker in a table, and as JSON what /status answers", "[command]") {
  const ServerProcess server({.workers = 2});
  (void)get(server.address(), "/hello");
  const ProgramResult table = server.control_command({"status"});
  INFO(table.all());
  CHECK(table.status == 0);
  CHECK(table.err.empty());
  CHECK(contains(table.out, "ready"));
  CHECK(contains(table.out, server.address().text()));
  for (const pid_t pid : server.worker_pids()) CHECK(contains(table.out, std::to_string(pid)));

  const ProgramResult json = server.control_command({"status", "--json"});
  CHECK(json.status == 0);
  const auto status = nlohmann::json::parse(json.out);
  CHECK(status.at("server").at("pid") == server.pid());
  CHECK(status.at("workers").size() == 2);
  std::vector<std::string> keys;
  const auto endpoint = server.status();
  for (const auto& [key, value] : endpoint.items()) keys.push_back(key);
  for (const std::string& key : keys) CHECK(status.contains(key));
}

TEST_CASE("pronghorn reload replaces the workers, with --wait until it is done", "[command]") {
  const ServerProcess server({.workers = 2});
  const auto before = server.worker_pids();
  const ProgramResult result = server.control_command({"reload", "--wait"});
  INFO(result.all());
  CHECK(result.status == 0);
  CHECK(server.status().at("server").at("generation") == 2);
  for (const pid_t pid : server.worker_pids()) CHECK(std::count(before.begin(), before.end(), pid) == 0);
}

TEST_CASE("pronghorn reload does not wait forever for a server that hangs", "[command]") {
  const ServerProcess server({.workers = 1});
  server.signal(SIGSTOP);
  const ProgramResult result = server.control_command({"reload"});
  server.signal(SIGCONT);
  INFO(result.all());
  CHECK_FALSE(result.timed_out);
  CHECK(result.status == 1);
  CHECK(contains(result.err, "does not answer"));
}

// "pronghorn stop" had told that the server does not answer, and stopped it when it went on.
TEST_CASE("a command that has failed because the supervisor was stopped does not run later", "[command]") {
  const ServerProcess server({.workers = 1});
  ::kill(server.pid(), SIGSTOP);
  const ProgramResult stop = server.control_command({"stop"});
  const ProgramResult scale = server.control_command({"scale", "2"});
  ::kill(server.pid(), SIGCONT);
  CHECK(stop.status == 1);
  CHECK(scale.status == 1);
  CHECK(contains(scale.err, "does not answer"));
  CHECK(server.control_command({"status"}).status == 0);
  CHECK(server.control_command({"scale", "+1"}).out == "2 workers\n");
  CHECK_FALSE(server.log_has("stopping"));
}

TEST_CASE("a configuration file that is malformed does not lock the operator out", "[command]") {
  const ServerProcess server({.workers = 1});
  const std::string file = server.file("broken.toml");
  write_file(file, "workers = = 2\n");
  CHECK(server.control_command({"status", "--config", file}).status == 0);
  const ProgramResult lost = run_program({program_path(), "status", "--config", file});
  INFO(lost.all());
  CHECK(lost.status == 2);
  CHECK(contains(lost.err, file + ":1:"));
  CHECK(contains(lost.err, "or name the server's socket with --control"));
}

TEST_CASE("a control socket whose file was removed is restored, and the log says so", "[command]") {
  const ServerProcess server({.workers = 1});
  REQUIRE(std::filesystem::remove(server.control()));
  CHECK(eventually(10s, [&] { return std::filesystem::exists(server.control()); }));
  CHECK(server.control_command({"status"}).status == 0);
  CHECK(eventually(5s, [&] { return server.log_has("the file of the control socket was deleted"); }));
  std::filesystem::remove_all(server.file("run"));  // with its folder
  CHECK(eventually(10s, [&] { return std::filesystem::exists(server.control()); }));
  CHECK(server.control_command({"status"}).status == 0);
}

TEST_CASE("pronghorn stop stops", "[command]") {
  ServerProcess server({.workers = 2});
  const ProgramResult result = server.control_command({"stop"});
  INFO(result.all());
  CHECK(result.status == 0);
  CHECK(server.wait_exit(5s) == ExitStatus{.code = 0, .signal = 0});
}

TEST_CASE("a control command without a server says so in one line", "[command]") {
  const TempDir directory;
  for (const char* command : {"status", "reload", "stop"}) {
    const ProgramResult result = run_pronghorn({command, "--control", directory / "none.sock"});
    INFO(command << ": " << result.all());
    CHECK_FALSE(result.timed_out);
    CHECK(result.status != 0);
    CHECK(contains(result.err, "none.sock"));
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  }
}

// Such arguments were sent to the server, whose refusal is status 1; an empty --name, as a variable that is not set leaves
// it, meant the jobs of all names.
TEST_CASE("an argument that no server could take is refused with status 2", "[command]") {
  const TempDir directory;
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"jobs", "list", "--name", "a b"},
                                             {"jobs", "drop", "dead", "--name", ""},
                                             {"jobs", "show", "email"},
                                             {"jobs", "retry", "all"},
                                             {"quarantine", "release", "zz"},
                                             {"reload", "--canary", "400d"},
                                             {"scale", "256"},
                                             {"log-level", "loud"}}) {
    std::vector<std::string> command = arguments;
    command.insert(command.end(), {"--control", directory / "none.sock"});
    const ProgramResult result = run_pronghorn(command);
    INFO(result.all());
    CHECK(result.status == 2);
    CHECK(contains(result.err, arguments.back().empty() ? "--name \"\"" : arguments.back()));
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  }
}

TEST_CASE("the control socket is for its owner alone", "[command]") {
  const ServerProcess server({.workers = 1});
  const auto socket = std::filesystem::status(server.control()).permissions();
  const auto folder = std::filesystem::status(server.file("run")).permissions();
  using std::filesystem::perms;
  CHECK((socket & (perms::group_all | perms::others_all)) == perms::none);
  CHECK((folder & (perms::group_all | perms::others_all)) == perms::none);
}

TEST_CASE("pronghorn routes lists what an application serves", "[command]") {
  const ProgramResult result = run_pronghorn({"routes", app_path("demo")});
  INFO(result.all());
  CHECK(result.status == 0);
  for (const char* route : {"/hello", "/json", "/users/{id}", "/echo", "/visits", "/login", "/me", "/logout",
                            "/limited", "/slow", "/block", "/stream", "/upload", "/files", "/crash", "POST", "GET"}) {
    INFO(route);
    CHECK(contains(result.out, route));
  }
  CHECK(run_pronghorn({"routes", app_path("apps/throws_in_setup")}).status == 3);
  const ProgramResult crashed = run_pronghorn({"routes", app_path("apps/aborts_at_load")});
  CHECK(crashed.status == 3);
  CHECK(contains(crashed.err, "the application ended with signal 6 (Aborted) while it was loaded"));
  const ProgramResult left = run_pronghorn({"routes", app_path("apps/exits_at_load")});
  CHECK(left.status == 3);  // although it ends the process with status 0
  CHECK(contains(left.err, "the application ended with exit status 0 while it was loaded"));
  CHECK(run_pronghorn({"routes", "/nonexistent.so"}).status == 2);
}

TEST_CASE("pronghorn check prints the configuration and the source of each value", "[command]") {
  const TempDir directory;
  write_file(directory / "p.toml", "worker_timeout = \"9s\"\nmax_body = \"3MiB\"\ndrain_timeout = \"8s\"\n");
  const ProgramResult result = run_pronghorn(
      {"check", "--config", directory / "p.toml", "--drain-timeout", "7s"},
      {{"PRONGHORN_MAX_BODY", "2MiB"}, {"PRONGHORN_DRAIN_TIMEOUT", "6s"}, {"REDIS_URL", "redis://u:secret@r:1/2"}});
  INFO(result.all());
  CHECK(result.status == 0);
  const auto line_of = [&result](const std::string& name) {
    const auto at = result.out.find("\n" + name + " ");
    return at == std::string::npos ? "" : result.out.substr(at + 1, result.out.find('\n', at + 1) - at - 1);
  };
  CHECK(contains(line_of("drain_timeout"), "7s"));
  CHECK(contains(line_of("drain_timeout"), "command line"));
  CHECK(contains(line_of("max_body"), "2MiB"));
  CHECK(contains(line_of("max_body"), "PRONGHORN_MAX_BODY"));
  CHECK(contains(line_of("worker_timeout"), "9s"));
  CHECK(contains(line_of("worker_timeout"), "p.toml"));
  CHECK(contains(line_of("keep_alive_timeout"), "default"));
  CHECK(contains(line_of("redis"), "REDIS_URL"));
  CHECK_FALSE(contains(result.all(), "secret"));
}

TEST_CASE("pronghorn check refuses what serve would refuse", "[command]") {
  const TempDir directory;
  write_file(directory / "p.toml", "workerz = 3\n");
  const ProgramResult result = run_pronghorn({"check", "--config", directory / "p.toml"});
  CHECK(result.status == 2);
  CHECK(contains(result.err, "workerz"));
}

// Run by root, it said "ok" to whatever root may do.
TEST_CASE("pronghorn check --deep checks as the user that will run the server", "[command]") {
  if (::geteuid() != 0) return;  // only root may name a user
  const TempDir directory;
  REQUIRE(::chmod(directory.path().c_str(), 0755) == 0);
  for (const char* name : {"logs", "mine"}) {
    REQUIRE(std::filesystem::create_directory(directory / name));
    REQUIRE(::chmod((directory / name).c_str(), 0755) == 0);
  }
  const auto check = [&](std::vector<std::string> more) {
    std::vector<std::string> all{"check",    "--deep",        "--user",          "nobody",     "--redis",
                                 "none",     "--runtime-dir", directory / "run", "--data-dir", directory / "data",
                                 "--listen", "127.0.0.1:0"};
    all.insert(all.end(), more.begin(), more.end());
    return run_pronghorn(all);
  };
  const ProgramResult good = check({});  // root creates the directories
  INFO(good.all());
  CHECK(good.status == 0);
  for (const auto& [option, path] : {std::pair<std::string, std::string>{"log_file", directory / "logs/log"},
                                     {"access_log", directory / "logs/log"},
                                     {"runtime_dir", directory / "mine"}}) {
    std::string flag = "--" + option;
    std::ranges::replace(flag, '_', '-');
    const ProgramResult bad = check({flag, path});
    INFO(bad.all());
    CHECK(bad.status == 2);
    CHECK(contains(bad.out, "failed  " + option + " " + path));
    CHECK(contains(bad.out, "Permission denied"));
  }
  const std::string app = directory / "app.so";
  std::filesystem::copy_file(app_path("hello"), app);
  REQUIRE(::chmod(app.c_str(), 0600) == 0);
  const ProgramResult unreadable = check({app});
  INFO(unreadable.all());
  CHECK(unreadable.status == 3);
  CHECK(contains(unreadable.out, "Permission denied"));
}

TEST_CASE("pronghorn check --deep finds what would fail at the start", "[command]") {
  const TempDir directory;
  const std::string runtime = "--runtime-dir=" + (directory / "run");
  const std::string data = "--data-dir=" + (directory / "data");
  const auto check = [&](std::vector<std::string> arguments) {
    for (const std::string& each : {std::string("check"), std::string("--deep"), runtime, data})
      arguments.push_back(each);
    std::rotate(arguments.begin(), arguments.end() - 4, arguments.end());
    return run_pronghorn(arguments);
  };
  const ProgramResult good = check({app_path("demo"), "--listen", "127.0.0.1:0"});
  INFO(good.all());
  CHECK(good.status == 0);
  CHECK_FALSE(std::filesystem::exists(directory / "data"));

  const ServerProcess server({.workers = 1});
  const ProgramResult taken = check({"--listen", server.address().text()});
  CHECK(taken.status == 2);
  CHECK(contains(taken.out, "the port is in use"));

  const ProgramResult log = check({"--listen", "127.0.0.1:0", "--log-file", directory / "none/log"});
  CHECK(log.status == 2);
  CHECK(contains(log.out, "failed  log_file"));

  write_file(directory / "plain", "");
  for (const auto& [option, value, why] :
       {std::tuple<std::string, std::string, std::string>{"--user", "no-such-user", "no-such-user: no such user"},
        {"--group", "no-such-group", "no-such-group: no such group"},
        {"--control", directory / "plain", "is not a socket"},
        {"--control", server.control(), "another server listens"},
        {"--listen", "unix:" + (directory / "plain"), "is not a socket"},
        {"--listen", "unix:" + (directory / "none/socket"), "No such file or directory"}}) {
    const ProgramResult bad = check({"--listen", "127.0.0.1:0", option, value});
    INFO(bad.all());
    CHECK(bad.status == 2);
    CHECK((::geteuid() != 0 || contains(bad.out, why)));  // only root may name a user
  }
  const ProgramResult owner = check({"--listen", "unix:" + (directory / "socket"), "--unix-owner", "no-such-user"});
  CHECK(owner.status == 2);
  CHECK(contains(owner.out, "there is no user"));
  const ProgramResult in_runtime = check({"--listen", "unix:" + (directory / "run/socket")});
  INFO(in_runtime.all());
  CHECK(in_runtime.status == 0);

  // Modes that a start refuses; the group may write, which is worth a warning.
  REQUIRE(std::filesystem::create_directory(directory / "open"));
  const std::string opened = directory / "open";
  for (const auto& [mode, redis, status, told] :
       {std::tuple{0777, "none", 2, "failed  runtime_dir " + opened + ": every user may write there (mode 0777)"},
        {01777, "embedded", 2, "failed  runtime_dir " + opened + ": every user may create files there (mode 1777)"},
        {01777, "none", 0, "ok      runtime_dir " + opened},
        {0770, "embedded", 0, "warning runtime_dir " + opened + ": members of group "}}) {
    REQUIRE(::chmod(opened.c_str(), mode) == 0);
    const ProgramResult result = check({"--redis", redis, "--listen", "127.0.0.1:0", "--runtime-dir", opened});
    INFO(result.all());
    CHECK(result.status == status);
    CHECK(contains(result.out, told));
  }

  // Only the embedded Redis cannot do without.
  const std::string no_folder = directory / "plain/data";
  for (const auto& [redis, status, told] :
       {std::tuple{"embedded", 2, "failed  data_dir "}, {"none", 0, "warning data_dir "}}) {
    const ProgramResult result = check({"--redis", redis, "--listen", "127.0.0.1:0", "--data-dir", no_folder});
    INFO(result.all());
    CHECK(result.status == status);
    CHECK(contains(result.out, told + no_folder));
  }

  write_file(directory / "garbage.so", std::string(5'000, 'x'));
  const ProgramResult garbage = check({directory / "garbage.so", "--listen", "127.0.0.1:0"});
  CHECK(garbage.status == 3);
  CHECK(contains(garbage.out, "failed  application"));
  CHECK(check({app_path("apps/aborts_at_load"), "--listen", "127.0.0.1:0"}).status == 3);
  const ProgramResult left = check({app_path("apps/exits_at_load"), "--listen", "127.0.0.1:0"});
  CHECK(left.status == 3);  // although it ends the process with status 0
  CHECK(contains(left.out, "exit status 0 while it was loaded"));

  // The application gets its settings.
  CHECK(check({app_path("apps/throws_in_setup"), "--listen", "127.0.0.1:0"}).status == 3);
  write_file(directory / "shop.toml", "[app]\nprices = \"list\"\n");
  const ProgramResult configured =
      check({app_path("apps/throws_in_setup"), "--listen", "127.0.0.1:0", "--config", directory / "shop.toml"});
  INFO(configured.all());
  CHECK(configured.status == 0);

  // And what the command line changes of the file.
  write_file(directory / "https.toml", "listen = [\"https://127.0.0.1:0\"]\n");
  const ProgramResult overridden =
      check({app_path("demo"), "--config", directory / "https.toml", "--listen", "127.0.0.1:0"});
  INFO(overridden.all());
  CHECK(overridden.status == 0);

  const ProgramResult endless =
      check({app_path("apps/hangs_at_load"), "--listen", "127.0.0.1:0", "--boot-timeout", "1s"});
  CHECK(endless.status == 3);
  CHECK(contains(endless.out, "it was not loaded within 1 s (boot_timeout)"));
}

TEST_CASE("pronghorn check shows settings of the application, and masks secrets", "[command]") {
  const ProgramResult result =
      run_pronghorn({"check"}, {{"PRONGHORN_APP_GREETING", "Hello"},
                                {"PRONGHORN_APP_DB_PASSWORD", "hunter2"},
                                {"PRONGHORN_APP_DB_PWD", "hunter2"},
                                {"PRONGHORN_APP_PASSPHRASE", "hunter2"},
                                {"PRONGHORN_APP_PIN", "hunter2"},
                                {"PRONGHORN_APP_SIGNER", "-----BEGIN PRIVATE KEY-----hunter2"}});
  INFO(result.all());
  CHECK(result.status == 0);
  CHECK(contains(result.out, "Hello"));
  CHECK(contains(result.out, "app.db_password"));
  CHECK_FALSE(contains(result.all(), "hunter2"));
}

TEST_CASE("pronghorn stop --wait returns when the server has exited", "[command]") {
  ServerProcess server({.workers = 1});
  HttpConnection slow(server.address());
  slow.send_raw("GET /slow?ms=400 HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(eventually(5s, [&] { return server.status().at("totals").at("in_flight") >= 2; }));
  const ProgramResult result = server.control_command({"stop", "--wait"});
  INFO(result.all());
  CHECK(result.status == 0);
  CHECK_FALSE(std::filesystem::exists(server.control()));  // removed by the last steps of the server
}

TEST_CASE("output that cannot be written is an error", "[command]") {
  const ServerProcess server({.workers = 2});
  for (const std::string& command :
       {"status --json --control " + server.control(), "status --control " + server.control(), std::string("help"),
        "routes " + app_path("demo"), "routes " + app_path("apps/hooks")}) {
    const ProgramResult result = run_program({"/bin/sh", "-c", program_path() + " " + command + " >/dev/full"});
    INFO(command << ": " << result.all());
    CHECK(result.status != 0);
  }
}

TEST_CASE("pronghorn status exits with 1 while a worker is missing or stuck", "[command]") {
  const ServerProcess server({.workers = 1});
  CHECK(server.control_command({"status"}).status == 0);
  HttpConnection blocked(server.address());
  blocked.send_raw("GET /block?ms=4000 HTTP/1.1\r\nHost: a\r\n\r\n");
  ProgramResult result;
  CHECK(eventually(5s, [&] {
    result = server.control_command({"status"});
    return result.status == 1;
  }));
  INFO(result.all());
  CHECK(contains(result.out, "stuck"));
  CHECK(contains(result.out, "GET /block"));
}

TEST_CASE("pronghorn requests lists what is in flight, and what a blocked worker executes", "[command]") {
  const ServerProcess server({.workers = 1});
  CHECK(server.control_command({"requests"}).out == "no requests are in flight\n");
  HttpConnection slow(server.address());
  slow.send_raw("GET /slow?ms=1500 HTTP/1.1\r\nHost: a\r\n\r\n");
  ProgramResult listed;
  CHECK(eventually(5s, [&] {
    listed = server.control_command({"requests"});
    return contains(listed.out, "GET /slow");
  }));
  INFO(listed.all());
  for (const char* text : {"waiting", "/slow", "127.0.0.1"}) CHECK(contains(listed.out, text));
  CHECK(slow.read_response().status == 200);
}

TEST_CASE("pronghorn requests tells what a blocked worker executes, and what waits behind that", "[command]") {
  const ServerProcess server({.workers = 1});
  const pid_t worker = server.worker_pids().at(0);  // once it is blocked, nobody answers /status
  HttpConnection waiting(server.address(), 15s);
  waiting.send_raw("GET /slow?ms=1 HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(waiting.read_response().status == 200);
  waiting.send_raw("GET /slow?ms=30000 HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(eventually(5s, [&] { return contains(server.control_command({"requests"}).out, "GET /slow"); }));
  HttpConnection blocked(server.address());
  blocked.send_raw("GET /block?ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n");
  nlohmann::json answer;
  CHECK(eventually(10s, [&] {
    answer = nlohmann::json::parse(server.control_command({"requests", "--json"}).out);
    return answer.size() == 1 && answer[0].contains("blocked_ms");
  }));
  INFO(answer.dump(2));
  REQUIRE(answer.size() == 1);
  CHECK(answer[0].at("request") == "GET /block");
  CHECK(answer[0].at("route") == "/block");
  CHECK(answer[0].at("state") == "running");
  CHECK(answer[0].at("waiting") == 1);
  CHECK(answer[0].at("connections") == 2);
  CHECK(contains(server.control_command({"requests"}).out, "1 more request waits in it"));
  ::kill(worker, SIGKILL);
}

TEST_CASE("pronghorn requests counts what waits in a blocked worker", "[command]") {
  const ServerProcess server({.workers = 1, .arguments = {"--overload", "off"}});
  HttpConnection blocked(server.address());
  blocked.send_raw("GET /block?ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n");
  std::string out;
  CHECK(eventually(10s, [&] { return contains(out = server.control_command({"requests"}).out, "has been blocked"); }));
  CHECK(contains(out, ": 0 more requests wait in it, 1 connection\n"));
  ::kill(server.worker_pids().at(0), SIGKILL);
}

// It was the time since the loop's last turn, and one turn may execute many requests.
TEST_CASE("pronghorn requests tells how long the request that runs has blocked its worker", "[command]") {
  const ServerProcess server({.workers = 1, .arguments = {"--overload", "off"}});
  std::vector<std::unique_ptr<HttpConnection>> clients;
  for (int i = 0; i < 12; ++i) {
    clients.push_back(std::make_unique<HttpConnection>(server.address(), 30s));
    CHECK(clients.back()->get("/hello").status == 200);
  }
  for (const auto& client : clients) client->send_raw("GET /block?ms=600 HTTP/1.1\r\nHost: a\r\n\r\n");
  int blocked = 0;
  REQUIRE(eventually(20s, [&] {
    const auto answer = nlohmann::json::parse(server.control_command({"requests", "--json"}).out);
    if (answer.size() != 1 || !answer[0].contains("blocked_ms")) return false;
    CHECK(answer[0].at("blocked_ms").get<double>() <= answer[0].at("age_ms").get<double>() + 1);
    return ++blocked == 3;
  }));
}

// Once, reload printed success although the new address was not served.
TEST_CASE("pronghorn reload names the options that it left out", "[command][reload]") {
  const TempDir directory;
  write_file(directory / "p.toml", "backlog = 100\n");
  const ServerProcess server({.workers = 1, .arguments = {"--config", directory / "p.toml"}});
  write_file(directory / "p.toml", "backlog = 200\n");
  const ProgramResult result = server.control_command({"reload", "--wait"});
  INFO(result.all());
  CHECK(result.status == 0);
  CHECK(contains(result.out, "backlog left out: a restart is needed"));
  CHECK(server.status().at("rollout").at("result") == "succeeded");
  CHECK(contains(server.status().at("rollout").at("message").get<std::string>(), "backlog"));
}

TEST_CASE("pronghorn log-level changes the level of every process", "[command]") {
  const ServerProcess server({.workers = 1});
  CHECK(server.control_command({"log-level", "loud"}).status == 2);
  CHECK(server.control_command({"log-level", "debug"}).status == 0);
  ::kill(server.worker_pids().at(0), SIGKILL);
  CHECK(eventually(5s, [&] { return server.log_has("is ready"); }));  // a line of the level debug
}

TEST_CASE("version and help answer on standard output", "[command]") {
  const ProgramResult version = run_pronghorn({"version"});
  CHECK(version.status == 0);
  CHECK(contains(version.out, PRONGHORN_VERSION));
  CHECK(run_pronghorn({"--version"}).out == version.out);
  const ProgramResult help = run_pronghorn({"--help"});
  CHECK(help.status == 0);
  for (const char* command : {"serve", "status", "scale", "reload", "stop", "check", "new", "routes", "version"}) {
    CHECK(contains(help.out, command));
  }
  const ProgramResult serve = run_pronghorn({"serve", "--help"});
  CHECK(serve.status == 0);
  for (const char* option : {"--listen", "--workers", "--redis", "--drain-timeout", "--max-body"}) {
    CHECK(contains(serve.out, option));
  }
}

TEST_CASE("the program without arguments says how to use it, status 2", "[command]") {
  const ProgramResult result = run_pronghorn({});
  CHECK(result.status == 2);
  CHECK(contains(result.all(), "serve"));
}
