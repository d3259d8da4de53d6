// The server with a Redis that speaks TLS.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "support/catch.h"
#include "support/clients/load_generator.h"
#include "support/paths.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"
#include "support/system/root.h"
#include "support/tls/test_authority.h"

using namespace pronghorn::test;

namespace {

RedisOptions tls_redis(std::vector<std::string> tls) {
  return {.password = {}, .tcp = true, .arguments = {}, .configuration = {}, .tls = std::move(tls)};
}

std::vector<std::string> tls_options(const std::string& ca, const IssuedFiles& own) {
  return {"--redis-ca", ca, "--redis-certificate", own.certificate, "--redis-key", own.key};
}

// What a start that must fail says.
ProgramResult start_hello(const std::string& url, std::vector<std::string> options) {
  const TempDir directory;
  std::vector<std::string> command{program_path(),    "serve", app_path("hello"), "--listen",        "127.0.0.1:0",
                                   "--redis",         url,     "--runtime-dir",   directory / "run", "--data-dir",
                                   directory / "data"};
  command.insert(command.end(), options.begin(), options.end());
  return run_program(command);
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("every feature that needs Redis works over TLS", "[redis][tls]") {
  TestAuthority authority;
  RedisProcess redis(tls_redis(authority.redis_arguments(authority.issue_files())));
  const ServerProcess server(
      {.workers = 2, .redis = redis.tcp_url(), .arguments = tls_options(authority.ca(), authority.issue_files())});
  REQUIRE(server.wait_redis());
  CHECK(server.status().at("redis").at("address") == redis.tcp_url() + "/0");

  Browser browser(server.address());  // sessions
  for (int visits = 1; visits <= 20; ++visits) {
    CHECK(nlohmann::json::parse(browser.get("/visits").body).at("visits") == visits);
  }
  int allowed = 0;  // limits
  for (int i = 0; i < 20; ++i) allowed += get(server.address(), "/limited").status == 200 ? 1 : 0;
  CHECK(allowed == 10);
  const std::string value = get(server.address(), "/cached/a").body;  // the cache, of all workers
  for (int i = 0; i < 10; ++i) CHECK(get(server.address(), "/cached/a").body == value);
  HttpConnection follower(server.address());  // events
  REQUIRE(follower.send_raw("GET /live/news HTTP/1.1\r\nHost: x\r\n\r\n"));
  CHECK(eventually(20s, [&] {
    return post(server.address(), "/live/news", "hello").status == 200 &&
           says(follower.read_until("hello", 1s), "hello");
  }));
  const std::string id = nlohmann::json::parse(post(server.address(), "/jobs", "").body).at("id");  // jobs
  CHECK(eventually(10s, [&] { return says(get(server.address(), "/jobs/" + id).body, "\"done\""); }));
  // Nothing of all this went another way.
  CHECK(says(redis.command({"CLIENT", "LIST", "TYPE", "NORMAL"}), "name=demo:"));
  CHECK(says(redis.command({"CLIENT", "LIST", "TYPE", "PUBSUB"}), ":events "));
}

TEST_CASE("a Redis with TLS is killed and restarted under load, and workers stay", "[redis][tls][load]") {
  TestAuthority authority;
  RedisProcess redis(tls_redis(authority.redis_arguments(authority.issue_files())));
  const ServerProcess server(
      {.workers = 2, .redis = redis.tcp_url(), .arguments = tls_options(authority.ca(), authority.issue_files())});
  REQUIRE(server.wait_redis());
  const auto workers = server.worker_pids();
  LoadGenerator load(server.address(), {.target = "/visits", .pause = 1ms});
  for (int round = 0; round < 3; ++round) {
    REQUIRE(load.wait_for(100, 30s));
    redis.kill();
    REQUIRE(server.wait_ready_status(503, 30s));
    redis.restart();
    REQUIRE(server.wait_redis(30s));
  }
  REQUIRE(load.wait_for(100, 30s));
  const LoadReport report = load.stop();
  INFO(report.text());
  CHECK(report.failed() == report.count("status 503"));
  CHECK(server.worker_pids() == workers);
}

TEST_CASE("certificates that cannot work end the start with one line", "[redis][tls][start]") {
  TestAuthority authority;
  TestAuthority another("Another Authority");
  RedisProcess redis(tls_redis(authority.redis_arguments(authority.issue_files())));
  const IssuedFiles own = authority.issue_files();
  const auto check_start = [&](const std::vector<std::string>& options, const std::string& part, int status) {
    const ProgramResult result = start_hello(redis.tcp_url(), options);
    INFO(result.all());
    CHECK(result.status == status);
    CHECK(says(result.all(), part));
    CHECK_FALSE(says(result.all(), "PRIVATE KEY"));
  };
  const std::string where = "127.0.0.1:" + std::to_string(redis.port());
  check_start({"--redis-ca", authority.ca()}, where + ": the server requires a client certificate", 3);
  check_start(tls_options(another.ca(), own), "\"Test Authority\", which is not trusted; set redis_ca", 3);
  check_start({"--redis-ca", "/none.pem"}, "redis_ca /none.pem: No such file or directory", 2);
  check_start(tls_options(authority.ca(), {own.certificate, another.issue_files().key}),
              ": the key does not belong to the certificate", 2);
  check_start({"--redis-key", own.key}, "redis_key: a key without a certificate", 2);
}

TEST_CASE("check --deep tells whether the certificates for Redis can be used", "[redis][tls]") {
  TestAuthority authority;
  const IssuedFiles own = authority.issue_files();
  const RedisProcess redis(tls_redis(authority.redis_arguments(authority.issue_files())));
  const auto check = [&](const std::string& key) {
    const TempDir directory;
    std::vector<std::string> command{program_path(), "check",         app_path("hello"), "--deep",
                                     "--redis",      redis.tcp_url(), "--runtime-dir",   directory / "run",
                                     "--data-dir",   directory / "d", "--listen",        "127.0.0.1:0"};
    const auto options = tls_options(authority.ca(), {own.certificate, key});
    command.insert(command.end(), options.begin(), options.end());
    return run_program(command);
  };
  const ProgramResult good = check(own.key);
  INFO(good.all());
  CHECK(good.status == 0);
  CHECK(says(good.all(), "ok      certificates for Redis"));
  CHECK(says(good.all(), "ok      redis rediss://"));
  const ProgramResult bad = check(authority.issue_files().key);
  INFO(bad.all());
  CHECK(bad.status == 2);
  CHECK(says(bad.all(), "failed  certificates for Redis: redis_key"));
}

TEST_CASE("options for TLS without rediss:// are warned about", "[redis][tls]") {
  TestAuthority authority;
  const ServerProcess server({.app = app_path("hello"), .workers = 1, .arguments = {"--redis-ca", authority.ca()}});
  CHECK(server.log_lines("redis_ca has no effect").size() == 1);
}

TEST_CASE("a reload takes changed certificates, and is refused when they do not fit", "[redis][tls]") {
  TestAuthority authority;
  TestAuthority successor("Successor");
  const TempDir files;
  const IssuedFiles own{files / "own.pem", files / "own.key"};
  const auto install = [&](TestAuthority& from, const std::string& key) {
    const IssuedFiles issued = from.issue_files();
    write_file(files / "ca.pem", read_file(from.ca()));
    write_file(own.certificate, read_file(issued.certificate));
    write_file(own.key, read_file(key.empty() ? issued.key : key));
  };
  install(authority, "");
  RedisProcess redis(tls_redis(authority.redis_arguments(authority.issue_files())));
  const ServerProcess server({.workers = 2, .redis = redis.tcp_url(), .arguments = tls_options(files / "ca.pem", own)});
  REQUIRE(server.wait_redis());

  redis.use_tls(successor.redis_arguments(successor.issue_files()));
  redis.restart();
  REQUIRE(eventually(20s, [&] { return server.log_lines("which is not trusted").size() >= 2; }));
  CHECK(server.status().at("redis").at("error").get<std::string>().find("not trusted") != std::string::npos);
  CHECK(get(server.address(), "/visits").status == 503);

  install(successor, authority.issue_files().key);
  const ProgramResult refused = server.control_command({"reload", "--wait"});
  INFO(refused.all());
  CHECK(refused.status != 0);
  CHECK(says(refused.all(), "the key does not belong to the certificate"));
  CHECK(get(server.address(), "/hello").status == 200);

  install(successor, "");
  CHECK(server.control_command({"reload", "--wait"}).status == 0);
  REQUIRE(server.wait_redis());
  CHECK(get(server.address(), "/visits").status == 200);
}

// The key is read before the privileges are dropped, and no worker needs the file.
TEST_CASE("a key that only root may read serves a server with a user of its own", "[redis][tls][privileges]") {
  if (!can_change_user()) return;
  TestAuthority authority;
  const IssuedFiles own = authority.issue_files();
  RedisProcess redis(tls_redis(authority.redis_arguments(authority.issue_files())));
  const TempDir folder;  // a copy that the user can read: the build may be in root's home
  ::chmod(folder.path().c_str(), 0755);
  for (const std::string file : {"/pronghorn", "/examples/demo.so"}) {
    std::filesystem::copy_file(std::filesystem::canonical(build_path(file)),
                               folder.path() / std::filesystem::path(file).filename());
  }
  for (const auto& entry : std::filesystem::directory_iterator(build_path(""))) {
    if (entry.path().filename().string().starts_with("libpronghorn.so")) {
      std::filesystem::copy(entry.path(), folder.path() / entry.path().filename());
    }
  }
  std::filesystem::copy(source_path("/examples/demo/public"), folder.path() / "public");
  std::vector<std::string> arguments = tls_options(authority.ca(), own);
  for (const char* word : {"--user", "nobody", "--group", "nogroup"}) arguments.emplace_back(word);
  arguments.insert(arguments.end(), {"--runtime-dir", folder / "new/run", "--data-dir", folder / "new/data"});
  const ServerProcess server({.command = {folder / "pronghorn", "serve", folder / "demo.so"},
                              .workers = 1,
                              .redis = redis.tcp_url(),
                              .arguments = arguments});
  REQUIRE(server.wait_redis());
  redis.restart();  // another connection
  REQUIRE(eventually(20s, [&] { return get(server.address(), "/visits").status == 200; }));
  const pid_t first = server.worker_pids().at(0);
  ::kill(first, SIGKILL);  // another worker
  REQUIRE(eventually(20s, [&] {
    const auto pids = server.worker_pids();
    return !pids.empty() && pids.at(0) != first && server.wait_redis(0ms);
  }));
  const pid_t second = server.worker_pids().at(0);
  server.signal(SIGHUP);  // another generation: the supervisor reads the key again
  REQUIRE(eventually(20s, [&] {
    const auto pids = server.worker_pids();
    return !pids.empty() && pids.at(0) != second && server.wait_redis(0ms);
  }));
  CHECK(get(server.address(), "/visits").status == 200);
}
