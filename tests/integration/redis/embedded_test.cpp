// --redis embedded, the default: a private redis-server that the supervisor keeps alive.
#include <signal.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>

#include "support/catch.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

// When the supervisor dies, running requests get 6 s; then an alarm ends the worker.
constexpr auto kGrace = 9s;

ServerOptions embedded() { return {.workers = 2, .redis = {}}; }

// The redis-server among these processes; 0: none runs.
pid_t redis_among(const std::vector<pid_t>& processes) {
  for (const pid_t pid : processes) {
    if (read_file("/proc/" + std::to_string(pid) + "/comm") == "redis-server\n") return pid;
  }
  return 0;
}

// A program for the option redis_server that, once it is told to end, waits for the file may-end. A stopped Redis would
// not do: the kernel continues it when the death of its parent orphans its process group.
std::string redis_that_ends_slowly(const TempDir& folder) {
  std::string script = folder / "slow-redis";
  write_file(script,
             "#!/bin/sh\n"
             "trap 'while [ ! -e " +
                 (folder / "may-end") +
                 " ]; do sleep 0.05; done; kill $redis; wait $redis; exit 0' TERM\n"
                 "redis-server \"$@\" &\n"
                 "redis=$!\n"
                 "wait $redis\n");
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  return script;
}

// A script that starts Redis and waits for it.
std::string redis_without_exec(const TempDir& folder) {
  std::string script = folder / "redis";
  write_file(script, "#!/bin/sh\nredis-server \"$@\"\nexit 1\n");
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  return script;
}

pid_t redis_pid(const ServerProcess& server) { return redis_among(server.processes()); }

}  // namespace

TEST_CASE("by default Redis is embedded, on a Unix socket and no port", "[redis][embedded]") {
  const ServerProcess server(embedded());
  REQUIRE(server.wait_ready_status(200));
  CHECK(get(server.address(), "/visits").status == 200);
  CHECK(server.status().at("redis").at("mode") == "embedded");
  const pid_t redis = redis_pid(server);
  REQUIRE(redis != 0);
  const auto tcp = run_program({"ss", "-ltnpH"});
  CHECK(tcp.out.find("pid=" + std::to_string(redis) + ",") == std::string::npos);
}

TEST_CASE("a killed embedded Redis is restarted with its data", "[redis][embedded]") {
  const ServerProcess server(embedded());
  REQUIRE(server.wait_ready_status(200));
  Browser browser(server.address());
  for (int visit = 1; visit <= 3; ++visit) CHECK(browser.get("/visits").json().at("visits") == visit);
  const pid_t redis = redis_pid(server);
  REQUIRE(redis != 0);
  // While the disk is slow, Redis puts off what it writes to its file.
  const std::vector<std::string> persistence{"redis-cli", "-s", server.file("run/redis.sock"), "INFO", "persistence"};
  REQUIRE(eventually(10s, [&] { return run_program(persistence).out.contains("aof_buffer_length:0\r"); }));
  const auto workers = server.worker_pids();
  REQUIRE(::kill(redis, SIGKILL) == 0);
  REQUIRE(eventually(15s, [&] {
    const pid_t now = redis_pid(server);
    return now != 0 && now != redis;
  }));
  REQUIRE(server.wait_redis());
  CHECK(browser.get("/visits").json().at("visits") == 4);
  CHECK(server.worker_pids() == workers);
}

// It listens before it has loaded its data, and counted as up from then on.
TEST_CASE("an embedded Redis is up when it has loaded its data", "[redis][embedded]") {
  const TempDir folder;
  const std::string script = folder / "redis";
  write_file(script, "#!/bin/sh\n[ -e \"$0.slow\" ] && slow=--key-load-delay\\ 1000\nexec redis-server \"$@\" $slow\n");
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  ServerOptions options = embedded();
  options.arguments = {"--redis-server", script};
  const ServerProcess server(options);
  REQUIRE(server.wait_ready_status(200));
  const auto redis_cli = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"redis-cli", "-s", server.file("run/redis.sock")});
    return run_program(words).out;
  };
  (void)redis_cli({"EVAL", "for i = 1, 3000 do redis.call('SET', i, 'v') end", "0"});  // three seconds with the delay
  write_file(script + ".slow", "");
  REQUIRE(::kill(redis_pid(server), SIGKILL) == 0);
  REQUIRE(eventually(20s, [&] { return redis_cli({"GET", "1"}).starts_with("LOADING"); }));
  CHECK(server.log_lines("redis is up").size() == 1);
  CHECK(get(server.address(), "/visits").status == 503);
  REQUIRE(eventually(20s, [&] { return server.log_lines("redis is up").size() == 2; }));
  CHECK(redis_cli({"GET", "1"}) == "v\n");
  CHECK(server.wait_redis());
}

// New workers said that it has been up since they connected.
TEST_CASE("a rollout does not change since when Redis has been up", "[redis][embedded][reload]") {
  const ServerProcess server(embedded());
  REQUIRE(eventually(10s, [&] { return server.status().at("redis").at("state") == "up"; }));
  const auto since = server.status().at("redis").at("since");
  const std::time_t before = std::time(nullptr);
  REQUIRE(eventually(5s, [&] { return std::time(nullptr) > before + 1; }));  // it is told in whole seconds
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  REQUIRE(eventually(
      10s, [&] { return server.worker(0).at("old_pid") == 0 && server.status().at("redis").at("state") == "up"; }));
  CHECK(server.status().at("redis").at("since") == since);
}

TEST_CASE("sessions outlive the server with the embedded Redis", "[redis][embedded]") {
  const TempDir data;
  ServerOptions options = embedded();
  options.environment = {{"PRONGHORN_DATA_DIR", data.path()}};
  std::string session;
  {
    const ServerProcess server(options);
    REQUIRE(server.wait_ready_status(200));
    Browser browser(server.address());
    CHECK(browser.get("/visits").json().at("visits") == 1);
    session = browser.cookie("session");
  }
  const ServerProcess server(options);
  REQUIRE(server.wait_ready_status(200));
  Browser browser(server.address());
  browser.set_cookie("session", session);
  CHECK(browser.get("/visits").json().at("visits") == 2);
}

TEST_CASE("kill -9 of the supervisor leaves no worker and no Redis", "[redis][embedded][kill]") {
  ServerProcess server(embedded());
  REQUIRE(server.wait_ready_status(200));
  REQUIRE(server.processes().size() >= 4);  // supervisor, two workers, Redis
  HttpConnection busy(server.address());
  busy.send_raw("GET /slow?ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n");
  server.signal(SIGKILL);
  REQUIRE(server.wait_exit(5s).has_value());
  CHECK(eventually(kGrace, [&] { return server.processes().empty(); }));
}

TEST_CASE("a server that was killed starts again in the same folders", "[redis][embedded][kill]") {
  const TempDir shared;
  ServerOptions options = embedded();
  options.environment = {{"PRONGHORN_RUNTIME_DIR", shared / "run"}, {"PRONGHORN_DATA_DIR", shared / "data"}};
  std::string session;
  {
    ServerProcess server(options);
    REQUIRE(server.wait_ready_status(200));
    Browser browser(server.address());
    (void)browser.get("/visits");
    session = browser.cookie("session");
    server.signal(SIGKILL);
    REQUIRE(server.wait_exit(5s).has_value());
    REQUIRE(eventually(5s, [&] { return processes_of(shared.path()).empty(); }));
  }
  const ServerProcess server(options);
  REQUIRE(server.wait_ready_status(200));
  Browser browser(server.address());
  browser.set_cookie("session", session);
  CHECK(browser.get("/visits").json().at("visits") == 2);
}

// Both Redis servers used the same data directory, and the old one deleted the socket of the new one when it ended.
TEST_CASE("a server that was killed starts again while its Redis is still exiting", "[redis][embedded][kill]") {
  const TempDir shared;
  ServerOptions options = embedded();
  options.environment = {{"PRONGHORN_RUNTIME_DIR", shared / "run"},
                         {"PRONGHORN_DATA_DIR", shared / "data"},
                         {"PRONGHORN_REDIS_SERVER", redis_that_ends_slowly(shared)}};
  ServerProcess first(options);
  REQUIRE(first.wait_ready_status(200));
  Browser browser(first.address());
  CHECK(browser.get("/visits").json().at("visits") == 1);
  const std::string session = browser.cookie("session");
  const pid_t old_redis = redis_among(processes_of(shared.path()));
  REQUIRE(old_redis != 0);
  first.signal(SIGKILL);
  REQUIRE(first.wait_exit(5s).has_value());

  options.wait = false;
  ServerProcess second(options);
  CHECK(eventually(5s, [&] { return second.log_has("is still ending"); }));
  write_file(shared / "may-end", "");
  second.wait_started();
  REQUIRE(second.wait_redis());
  CHECK_FALSE(is_running(old_redis));
  second.signal(SIGHUP);
  REQUIRE(eventually(15s, [&] { return second.status().at("server").at("generation") == 2; }));
  REQUIRE(second.wait_redis());  // workers that were started after the old Redis has gone
  Browser again(second.address());
  again.set_cookie("session", session);
  CHECK(again.get("/visits").json().at("visits") == 2);
}

TEST_CASE("an embedded Redis whose socket file was deleted is restarted", "[redis][embedded]") {
  const ServerProcess server(embedded());
  REQUIRE(server.wait_ready_status(200));
  const pid_t redis = redis_pid(server);
  REQUIRE(std::filesystem::remove(server.file("run/redis.sock")));
  REQUIRE(eventually(15s, [&] {
    const pid_t now = redis_pid(server);
    return now != 0 && now != redis;
  }));
  CHECK(eventually(15s, [&] { return get(server.address(), "/visits").status == 200; }));
}

// It was restarted without end, because it could not create its socket.
TEST_CASE("an embedded Redis is restarted although its directory was deleted", "[redis][embedded]") {
  const ServerProcess server(embedded());
  REQUIRE(server.wait_ready_status(200));
  const pid_t redis = redis_pid(server);
  std::filesystem::remove_all(server.file("run"));
  REQUIRE(eventually(15s, [&] {
    const pid_t now = redis_pid(server);
    return now != 0 && now != redis;
  }));
  REQUIRE(server.wait_redis(15s));
  CHECK(get(server.address(), "/visits").status == 200);
}

// Sessions answered 503 until somebody noticed.
TEST_CASE("an embedded Redis that does not answer is killed and replaced, with its data", "[redis][embedded]") {
  const ServerProcess server(embedded());
  REQUIRE(server.wait_ready_status(200));
  Browser browser(server.address());
  CHECK(browser.get("/visits").json().at("visits") == 1);
  const pid_t redis = redis_pid(server);
  REQUIRE(::kill(redis, SIGSTOP) == 0);
  REQUIRE(eventually(60s, [&] { return server.log_has("redis has not answered for 10 s: killing it"); }));
  REQUIRE(eventually(15s, [&] {
    const pid_t now = redis_pid(server);
    return now != 0 && now != redis;
  }));
  REQUIRE(server.wait_redis(15s));
  CHECK(browser.get("/visits").json().at("visits") == 2);
}

TEST_CASE("a server ends in order although its embedded Redis is stopped by a signal", "[redis][embedded][stop]") {
  ServerProcess server(embedded());
  REQUIRE(server.wait_ready_status(200));
  REQUIRE(::kill(redis_pid(server), SIGSTOP) == 0);
  CHECK(server.control_command({"stop", "--wait"}).status == 0);
  CHECK(server.log_has("redis is stopped by a signal and cannot end in order: killing it"));
  CHECK(server.wait_exit(5s) == ExitStatus{.code = 0, .signal = 0});
}

// The shell ended, and the Redis that it had started went on: beside the next one, on the same files.
TEST_CASE("a Redis that a script has started ends with the script", "[redis][embedded][stop]") {
  const TempDir folder;
  ServerOptions options = embedded();
  options.arguments = {"--redis-server", redis_without_exec(folder)};
  ServerProcess server(options);
  REQUIRE(server.wait_ready_status(200));
  const pid_t first = redis_pid(server);
  REQUIRE(first != 0);
  const auto children = children_of(server.pid());
  const auto shell =
      std::ranges::find_if(children, [first](pid_t pid) { return std::ranges::count(children_of(pid), first) == 1; });
  REQUIRE(shell != children.end());
  REQUIRE(::kill(*shell, SIGKILL) == 0);
  CHECK(eventually(10s, [first] { return !is_running(first); }));
  CHECK(server.wait_redis());
  CHECK(server.stop(20s) == ExitStatus{.code = 0, .signal = 0});
  CHECK(redis_pid(server) == 0);
}

// The kernel told the shell that the supervisor had died, and nobody told Redis.
TEST_CASE("kill -9 of the supervisor leaves no Redis that a script has started", "[redis][embedded][kill]") {
  const TempDir folder;
  ServerOptions options = embedded();
  options.arguments = {"--redis-server", redis_without_exec(folder)};
  ServerProcess server(options);
  REQUIRE(server.wait_ready_status(200));
  server.signal(SIGKILL);
  REQUIRE(server.wait_exit(5s).has_value());
  CHECK(eventually(kGrace, [&] { return server.processes().empty(); }));
}

TEST_CASE("stopping now does not wait for a Redis that does not end", "[redis][embedded][stop]") {
  for (const bool drained : {false, true}) {
    INFO((drained ? "INT twice" : "QUIT"));
    const TempDir folder;
    ServerOptions options = embedded();
    options.arguments = {"--redis-server", redis_that_ends_slowly(folder)};
    ServerProcess server(options);
    REQUIRE(server.wait_ready_status(200));
    const pid_t redis = redis_pid(server);
    server.signal(drained ? SIGINT : SIGQUIT);
    if (drained) {
      REQUIRE(
          eventually(5s, [&] { return children_without_guardians(server.pid()).size() == 1; }));  // only Redis is left
      server.signal(SIGINT);
    }
    CHECK(within(9s, [&server] { return !is_running(server.pid()); }));  // an orderly stop would wait 10 s for Redis
    CHECK(server.wait_exit(5s) == ExitStatus{.code = 0, .signal = 0});
    if (redis != 0) ::kill(redis, SIGKILL);  // the shell that had started it was killed
  }
}

TEST_CASE("an embedded Redis that cannot start is reported in one line", "[redis][embedded][start]") {
  const TempDir directory;
  write_file(directory / "text", "");  // anybody may read it, nobody run it
  for (const auto& [program, why] : std::map<std::string, std::string>{{"/nonexistent/redis-server", "not found"},
                                                                       {"no-such-redis-server", "not found"},
                                                                       {directory / "text", "Permission denied"},
                                                                       {directory.path(), "not a regular file"}}) {
    const ProgramResult result =
        run_program({program_path(), "serve", app_path("demo"), "--listen", "127.0.0.1:0", "--redis-server", program,
                     "--runtime-dir", directory / "run", "--data-dir", directory / "data"});
    INFO(result.all());
    CHECK_FALSE(result.timed_out);
    CHECK(result.status == 2);
    CHECK(std::ranges::count(result.err, '\n') == 1);
    CHECK(result.err.find(program + " cannot be run: ") != std::string::npos);
    CHECK(result.err.find(why) != std::string::npos);
    CHECK(eventually(10s, [&] { return processes_of(directory.path()).empty(); }));
  }
}

TEST_CASE("an embedded Redis is not started where every user could listen in its place", "[redis][embedded][start]") {
  const TempDir directory;
  std::filesystem::permissions(directory.path(), std::filesystem::perms(01777));
  const ProgramResult result = run_program({program_path(), "serve", app_path("demo"), "--listen", "127.0.0.1:0",
                                            "--runtime-dir", directory.path(), "--data-dir", directory / "data"});
  INFO(result.all());
  CHECK_FALSE(result.timed_out);
  CHECK(result.status == 2);
  CHECK(std::ranges::count(result.err, '\n') == 1);
  CHECK(result.err.find("every user may create files there") != std::string::npos);
}

TEST_CASE("an embedded Redis that cannot read its data says why in the server's log", "[redis][embedded][start]") {
  const TempDir data;
  const ServerOptions options{.workers = 1, .redis = {}, .arguments = {"--data-dir", data.path()}};
  {
    const ServerProcess server(options);
    for (int i = 0; i < 10; ++i) REQUIRE(get(server.address(), "/visits").status == 200);
  }
  for (const auto& file : std::filesystem::directory_iterator(data / "redis/appendonlydir")) {
    if (file.path().extension() != ".aof") continue;
    std::fstream(file.path(), std::ios::in | std::ios::out | std::ios::binary).seekp(100) << "damaged by something";
  }
  const ServerProcess server(options);
  CHECK(eventually(20s, [&] {
    return server.log_has("ended: exit status 1; restarting it in") &&
           server.log_has("Bad file format reading the append only file");
  }));
}

// 180,000 sessions of anonymous clients in 4 s, each for a day, and no limit.
TEST_CASE("sessions in use survive a flood of new ones that fills the embedded Redis", "[redis][embedded]") {
  ServerOptions options = embedded();
  options.arguments = {"--redis-memory", "8MiB"};
  const ServerProcess server(options);
  REQUIRE(server.wait_ready_status(200));
  Browser browser(server.address());
  for (int visit = 1; visit <= 2; ++visit) CHECK(browser.get("/visits").json().at("visits") == visit);
  const auto redis_cli = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"redis-cli", "-s", server.file("run/redis.sock")});
    return run_program(words).out;
  };
  // As new sessions are: with a short time to live.
  const std::string flood =
      "for i = 1, 20000 do local key = 'demo:s:{' .. ARGV[1] .. i .. '}' "
      "redis.call('HSET', key, 'visits', string.rep('x', 64)) redis.call('PEXPIRE', key, 600000) end";
  for (int i = 0; i < 10; ++i) (void)redis_cli({"EVAL", flood, "0", std::to_string(i) + "-"});
  CHECK(redis_cli({"INFO", "stats"}).find("evicted_keys:0\r") == std::string::npos);
  CHECK(get(server.address(), "/visits").status == 200);
  CHECK(browser.get("/visits").json().at("visits") == 3);
}

// In a data_dir that other users can read, its files were once readable too.
TEST_CASE("the files of the embedded Redis are private, and those of an earlier version are moved",
          "[redis][embedded]") {
  const TempDir data;
  const std::string path = data / "shared";
  std::filesystem::create_directory(path);
  std::filesystem::permissions(path, std::filesystem::perms(0755));
  std::filesystem::create_directory(path + "/appendonlydir");
  ServerOptions options = embedded();
  options.arguments = {"--data-dir", path};
  const ServerProcess server(options);
  REQUIRE(server.wait_ready_status(200));
  CHECK(get(server.address(), "/visits").status == 200);
  const auto others = std::filesystem::perms::group_all | std::filesystem::perms::others_all;
  CHECK((std::filesystem::status(path + "/redis").permissions() & others) == std::filesystem::perms::none);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path + "/redis")) {
    INFO(entry.path());
    CHECK((entry.status().permissions() & others) == std::filesystem::perms::none);
  }
  CHECK_FALSE(std::filesystem::exists(path + "/appendonlydir"));
  CHECK(std::filesystem::exists(path + "/redis/appendonlydir"));
}

// As root it used the system's folder, so another clone found old sessions and a quarantine. A program that prints where
// its data would be stands in for the one that is built.
TEST_CASE("a development run keeps its data in its clone, unless it is told where", "[redis][embedded][scripts]") {
  const TempDir clone;
  std::filesystem::create_directories(clone / "scripts");
  std::filesystem::create_directories(clone / "build");
  const auto script = [&clone](const std::string& path, const std::string& text) {
    write_file(clone / path, "#!/bin/sh\n" + text + "\n");
    std::filesystem::permissions(clone / path, std::filesystem::perms::owner_all);
  };
  std::filesystem::copy_file(source_path("/scripts/run"), clone / "scripts/run");
  script("scripts/setup", "");
  script("cmake", "");
  script("build/pronghorn", "echo data in $PRONGHORN_DATA_DIR");
  const auto run = [&clone](const std::string& variable) {
    const ProgramResult result =
        run_program({"env", "-u", "PRONGHORN_DATA_DIR", "PATH=" + clone.path().string() + ":/usr/bin:/bin", variable,
                     clone / "scripts/run"});
    INFO(result.all());
    CHECK(result.status == 0);
    return result.out;
  };
  CHECK(run("UNUSED=").find("data in " + clone / "build/data\n") != std::string::npos);
  CHECK(run("PRONGHORN_DATA_DIR=/elsewhere").find("data in /elsewhere\n") != std::string::npos);
}
