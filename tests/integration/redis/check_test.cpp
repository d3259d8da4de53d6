// `pronghorn check --deep` connects to Redis as a worker does.
#include <signal.h>

#include "support/catch.h"
#include "support/paths.h"
#include "support/processes/redis_cluster.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

ProgramResult check_deep(const std::string& redis) {
  const TempDir directory;
  return run_program({program_path(), "check", "--deep", "--redis", redis, "--listen", "127.0.0.1:0", "--redis-timeout",
                      "2s", "--runtime-dir", directory / "run", "--data-dir", directory / "data"});
}

bool prints(const ProgramResult& result, const std::string& text) { return result.out.find(text) != std::string::npos; }

// One line tells what is wrong, and nothing tells the password.
void check_failure(const std::string& redis, const std::string& why) {
  const ProgramResult result = check_deep(redis);
  INFO(result.all());
  CHECK(result.status == 2);
  const std::size_t at = result.out.find("failed  redis ");
  REQUIRE(at != std::string::npos);
  CHECK(result.out.substr(at, result.out.find('\n', at) - at).find(why) != std::string::npos);
  CHECK(result.err.empty());
  CHECK(result.all().find("s3cret") == std::string::npos);
}

void check_good(const std::string& redis) {
  const ProgramResult result = check_deep(redis);
  INFO(result.all());
  CHECK(result.status == 0);
  CHECK(prints(result, "ok      redis redis"));
  CHECK(result.all().find("s3cret") == std::string::npos);
}

}  // namespace

TEST_CASE("check --deep connects to Redis with the password, and does not print it", "[redis][command]") {
  RedisOptions options;
  options.tcp = true;
  options.password = "s3cret";
  const RedisProcess redis(options);
  const std::string port = std::to_string(redis.port());
  check_good(redis.tcp_url());
  check_failure("redis://:s3cret-not@127.0.0.1:" + port, "password");
  check_failure("redis://127.0.0.1:" + port, "password");
  check_failure("redis://:s3cret@127.0.0.1:" + port + "/99", "database");
  check_failure("redis+cluster://:s3cret@127.0.0.1:" + port, "cluster");
}

TEST_CASE("check --deep tells that Redis cannot be reached, or does not answer", "[redis][command]") {
  check_failure("redis://:s3cret@127.0.0.1:" + std::to_string(free_port()), "refused");
  check_failure("redis+sentinel://127.0.0.1:" + std::to_string(free_port()) + "/main", "sentinel");
  RedisOptions options;
  options.tcp = true;
  const RedisProcess redis(options);
  REQUIRE(::kill(redis.pid(), SIGSTOP) == 0);
  check_failure(redis.tcp_url(), "");
  ::kill(redis.pid(), SIGCONT);
}

TEST_CASE("check --deep connects to a cluster, and to the primary that sentinels name", "[redis][command]") {
  const RedisCluster cluster;
  check_good(cluster.url());
  const RedisSentinels sentinels;
  check_good(sentinels.url());
}
