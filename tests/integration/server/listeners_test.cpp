// Where the server listens, and the variables that platforms set.
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "support/catch.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

TEST_CASE("a Unix socket serves like a port and is removed at the end", "[listen]") {
  const TempDir directory;
  const std::string path = directory / "http.sock";
  {
    const ServerProcess server({.workers = 2, .listen = {"unix:" + path}});
    for (int i = 0; i < 10; ++i) CHECK(get(server.address(), "/hello").body == "Hello, World!");
    CHECK(get(server.address(), "/status").status == 200);  // a Unix socket counts as loopback
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

namespace {

// Deletes the file and waits until there is another one.
void delete_file(const std::string& path) {
  REQUIRE(std::filesystem::remove(path));
  REQUIRE(eventually(10s, [&] { return std::filesystem::exists(path); }));
}

}  // namespace

// Once, a deleted file was neither restored nor reported: no client could connect until the server was started again.
TEST_CASE("a Unix socket whose file was deleted is bound again, for workers that run and for later ones", "[listen]") {
  for (const std::string balance : {"reuseport", "shared", "round-robin"}) {
    INFO(balance);
    const TempDir directory;
    const std::string path = directory / "http.sock";
    {
      const ServerProcess server(
          {.workers = 2, .listen = {"unix:" + path}, .arguments = {"--balance", balance, "--unix-mode", "0620"}});
      HttpConnection before(server.address());
      const std::vector<pid_t> pids = server.worker_pids();
      delete_file(path);
      struct stat facts{};
      REQUIRE(::stat(path.c_str(), &facts) == 0);
      CHECK((facts.st_mode & 0777) == 0620);
      CHECK(get(server.address(), "/hello").status == 200);  // by a worker that inherited the old socket
      CHECK(server.log_has("the file of unix:" + path + " was deleted"));
      CHECK(before.get("/hello").status == 200);
      for (const pid_t pid : pids) REQUIRE(::kill(pid, SIGKILL) == 0);
      REQUIRE(eventually(10s, [&] { return get(server.address(), "/hello").status == 200; }));
      REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
      CHECK(get(server.address(), "/hello").status == 200);
      delete_file(path);
      CHECK(get(server.address(), "/hello").status == 200);
      REQUIRE(server.control_command({"upgrade"}).status == 0);
      delete_file(path);
      CHECK(get(server.address(), "/hello").status == 200);
    }
    CHECK_FALSE(std::filesystem::exists(path));
  }
}

// Each time cost every process that accepts two descriptors, for the old socket and for watching it.
TEST_CASE("binding a deleted Unix socket again costs no descriptors", "[listen]") {
  for (const std::string balance : {"reuseport", "round-robin"}) {
    INFO(balance);
    const TempDir directory;
    const std::string path = directory / "http.sock";
    const ServerProcess server({.workers = 2, .listen = {"unix:" + path}, .arguments = {"--balance", balance}});
    const auto descriptors = [&] {
      std::size_t count = 0;
      for (const pid_t pid : server.processes()) count += open_descriptors(pid);
      return count;
    };
    CHECK(get(server.address(), "/hello").status == 200);
    const std::size_t before = descriptors();
    constexpr int kTimes = 5;
    for (int i = 0; i < kTimes; ++i) {
      delete_file(path);
      CHECK(get(server.address(), "/hello").status == 200);
    }
    // Fewer than one each time, in all processes together: a first request may open something that stays.
    CHECK(eventually(10s, [&] { return descriptors() < before + kTimes; }));
  }
}

// The kernel drops a descriptor for which a process has no room. Nobody accepted from the new socket then, although
// descriptors became free again.
TEST_CASE("a process without a free descriptor takes a Unix socket that is bound again once it has one", "[listen]") {
  for (const std::string balance : {"reuseport", "round-robin"}) {
    INFO(balance);
    const TempDir directory;
    const std::string path = directory / "http.sock";
    const ServerProcess server({.workers = 1, .listen = {"unix:" + path}, .arguments = {"--balance", balance}});
    CHECK(get(server.address(), "/hello").status == 200);
    std::vector<std::pair<pid_t, rlimit>> limits;
    for (const pid_t pid : server.processes()) {
      if (pid == server.pid()) continue;
      rlimit before{};
      REQUIRE(::prlimit(pid, RLIMIT_NOFILE, nullptr, &before) == 0);
      limits.emplace_back(pid, before);
      const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
      REQUIRE(::prlimit(pid, RLIMIT_NOFILE, &none, nullptr) == 0);
    }
    delete_file(path);
    CHECK(eventually(10s, [&] { return server.log_has("no descriptor is left for a Unix socket"); }));
    for (const auto& [pid, limit] : limits) REQUIRE(::prlimit(pid, RLIMIT_NOFILE, &limit, nullptr) == 0);
    CHECK(get(server.address(), "/hello").status == 200);
    CHECK(server.log_lines("no descriptor is left for a Unix socket").size() == 1);
  }
}

TEST_CASE("the Unix socket of the admin process is bound again when its file was deleted", "[listen]") {
  const TempDir directory;
  const std::string path = directory / "admin.sock";
  const ServerProcess server({.workers = 1, .arguments = {"--admin", "unix:" + path}});
  delete_file(path);
  CHECK(get(Address::parse("unix:" + path), "/health").status == 200);
}

TEST_CASE("a Unix socket that cannot be bound again is an error in the log, once, until it can", "[listen]") {
  const TempDir directory;
  const std::string folder = directory / "sockets";
  std::filesystem::create_directory(folder);
  const ServerProcess server({.workers = 1, .listen = {"unix:" + folder + "/s"}});
  std::filesystem::remove_all(folder);
  REQUIRE(eventually(10s, [&] { return server.log_has("cannot be restored: listen unix:" + folder + "/s"); }));
  std::filesystem::create_directory(folder);
  REQUIRE(eventually(10s, [&] { return std::filesystem::exists(folder + "/s"); }));
  CHECK(get(server.address(), "/hello").status == 200);
  CHECK(server.log_lines("cannot be restored").size() == 1);
}

TEST_CASE("the Unix socket that a killed server left behind is taken over, one in use is not", "[listen]") {
  const TempDir directory;
  const std::string path = directory / "http.sock";
  {
    ServerProcess server({.workers = 1, .listen = {"unix:" + path}});
    server.signal(SIGKILL);
    REQUIRE(server.wait_exit(5s).has_value());
  }
  REQUIRE(std::filesystem::exists(path));
  const ServerProcess server({.workers = 1, .listen = {"unix:" + path}});
  CHECK(get(server.address(), "/hello").status == 200);
  const auto second = run_program({program_path(), "serve", app_path("demo"), "--listen", "unix:" + path, "--redis",
                                   "none", "--runtime-dir", directory / "run", "--data-dir", directory / "data"});
  INFO(second.all());
  CHECK(second.status == 2);
  CHECK(second.err.find(path) != std::string::npos);
  CHECK(get(server.address(), "/hello").status == 200);
}

TEST_CASE("IPv6 and several addresses at once", "[listen]") {
  const TempDir directory;
  const ServerProcess server({.workers = 2, .listen = {"127.0.0.1:0", "[::1]:0", "unix:" + (directory / "s")}});
  for (std::size_t i = 0; i < 3; ++i) {
    INFO(server.address(i).text());
    CHECK(get(server.address(i), "/hello").status == 200);
  }
  CHECK(server.status().at("server").at("listen").size() == 3);
}

TEST_CASE("IPv4 and IPv6 can be listened to on one port", "[listen]") {
  const std::string port = std::to_string(free_port());
  const ServerProcess server({.workers = 2, .listen = {"0.0.0.0:" + port, "[::]:" + port}});
  CHECK(get(Address::parse("127.0.0.1:" + port), "/hello").status == 200);
  CHECK(get(Address::parse("[::1]:" + port), "/hello").status == 200);
}

TEST_CASE("[::] takes IPv4 only when ipv6_only is off", "[listen]") {
  for (const std::string only : {"true", "false"}) {
    const ServerProcess server({.workers = 1, .listen = {"[::]:0"}, .arguments = {"--ipv6-only", only}});
    CHECK(get(server.address(), "/hello").status == 200);
    const Address ipv4 = Address::parse("127.0.0.1:" + std::to_string(server.address().port));
    if (only == "false") {
      CHECK(get(ipv4, "/hello").status == 200);
    } else {
      CHECK_THROWS_AS(get(ipv4, "/hello"), ClientError);
    }
  }
}

TEST_CASE("the file of a Unix socket has the mode and owner that are asked for", "[listen]") {
  const TempDir directory;
  const std::string path = directory / "http.sock";
  const bool root = ::geteuid() == 0;
  const std::string owner = root ? "65534:65534" : std::to_string(::geteuid());
  const ServerProcess server(
      {.workers = 2, .listen = {"unix:" + path}, .arguments = {"--unix-mode", "0620", "--unix-owner", owner}});
  struct stat facts{};
  REQUIRE(::stat(path.c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0620);
  CHECK(facts.st_uid == (root ? 65534 : ::geteuid()));
  CHECK(get(server.address(), "/hello").status == 200);
}

TEST_CASE("an owner of Unix sockets that does not exist ends the start with one line", "[listen]") {
  const TempDir directory;
  const auto result = run_program({program_path(), "serve", app_path("demo"), "--listen", "unix:" + (directory / "s"),
                                   "--unix-owner", "no-such-user", "--redis", "none", "--runtime-dir",
                                   directory / "run", "--data-dir", directory / "data"});
  INFO(result.all());
  CHECK(result.status == 2);
  CHECK(result.err.find("unix_owner: there is no user \"no-such-user\"") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(directory / "s"));
}

TEST_CASE("PORT means every interface, WEB_CONCURRENCY the number of workers, REDIS_URL the Redis", "[listen]") {
  const RedisProcess redis({.password = {}, .tcp = true, .arguments = {}});
  const std::uint16_t port = free_port();
  const ServerProcess server(
      {.workers = 0,
       .redis = {},
       .listen = {},
       .environment = {{"PORT", std::to_string(port)}, {"WEB_CONCURRENCY", "3"}, {"REDIS_URL", redis.tcp_url()}}});
  CHECK(server.address().port == port);
  REQUIRE(server.wait_ready_status(200));
  CHECK(get(server.address(), "/visits").status == 200);
  CHECK(redis.command({"KEYS", "*:s:*"}) != "");
}

TEST_CASE("the command line wins over the environment, the environment over the file", "[listen]") {
  const TempDir directory;
  write_file(directory / "p.toml",
             "workers = 3\nlisten = [\"127.0.0.1:1\"]\nmax_body = \"10\"\n[app]\nfiles = \".\"\n");
  const ServerProcess server({.workers = 1,
                              .arguments = {"--config", directory / "p.toml"},
                              .environment = {{"WEB_CONCURRENCY", "2"}, {"PRONGHORN_MAX_BODY", "20"}}});
  CHECK(post(server.address(), "/echo", std::string(20, 'a')).status == 200);
  CHECK(post(server.address(), "/echo", std::string(21, 'a')).status == 413);
  CHECK(get(server.address(), "/files/log").status == 200);  // [app] files: the server's working directory
}

TEST_CASE("a range of workers starts with its lower end", "[listen]") {
  const ServerProcess server({.workers = 0, .arguments = {"--workers", "2..4"}});
  CHECK(get(server.address(), "/hello").status == 200);
}

TEST_CASE("logs can be JSON, one object a line", "[log]") {
  ServerProcess server({.workers = 1, .arguments = {"--log-format", "json", "--access-log", "-"}});
  REQUIRE(eventually(10s, [&] { return get(server.address(), "/hello").status == 200; }));
  (void)get(server.address(), "/users/x%0a%22y");
  REQUIRE(server.stop() == ExitStatus{.code = 0, .signal = 0});
  for (const std::string& line : server.log_lines("")) {
    INFO(line);
    CHECK(nlohmann::json::accept(line));
  }
  CHECK_FALSE(server.log_lines("/users/x%0a").empty());
}

// "log files reopened" was in the log beside the errors.
TEST_CASE("log files that cannot be reopened are named, and nothing says that they were", "[log]") {
  const TempDir directory;
  const std::string folder = directory / "logs";
  std::filesystem::create_directory(folder);
  ServerProcess server({.workers = 1, .arguments = {"--access-log", folder + "/access.log"}});
  std::filesystem::rename(folder, directory / "moved");
  server.signal(SIGUSR1);
  CHECK(eventually(5s, [&] { return server.log_has("cannot reopen the access log"); }));
  CHECK(server.log_has("file=" + folder + "/access.log"));
  CHECK_FALSE(server.log_has("reopened"));
}
