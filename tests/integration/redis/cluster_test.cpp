// The server on a cluster and with sentinels, and the commands of docs/state.md.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <sstream>

#include "support/catch.h"
#include "support/eventually.h"
#include "support/paths.h"
#include "support/processes/redis_cluster.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

// The blocks of shell commands in a page, in order.
std::vector<std::string> shell_blocks(const std::string& page) {
  std::vector<std::string> blocks;
  std::istringstream lines(read_file(source_path("/docs/" + page)));
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line == "```sh") {
      inside = true;
      blocks.emplace_back();
    } else if (line == "```") {
      inside = false;
    } else if (inside) {
      blocks.back() += line + "\n";
    }
  }
  return blocks;
}

bool is_free(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return bound;
}

// The first of six ports that are free now, with their cluster ports (10000 above). Below those that the system gives to
// clients, which come and go all the time.
std::uint16_t six_free_ports() {
  std::random_device random;
  for (;;) {
    const auto first = static_cast<std::uint16_t>(11'000 + random() % 11'000);
    bool free = true;
    for (std::uint16_t i = 0; i < 6; ++i) {
      free = free && is_free(static_cast<std::uint16_t>(first + i)) &&
             is_free(static_cast<std::uint16_t>(first + 10'000 + i));
    }
    if (free) return first;
  }
}

int visits(const ServerProcess& server, const std::string& cookie) {
  const HttpResponse response = get(server.address(), "/visits", {{"Cookie", cookie}});
  if (response.status != 200) return -response.status;
  return nlohmann::json::parse(response.body).at("visits").get<int>();
}

std::string new_session(const ServerProcess& server) {
  const std::string field = get(server.address(), "/visits").header("Set-Cookie");
  return field.substr(0, field.find(';'));
}

// What `begin` sets up, a server uses by `scheme` and `options`; `end` ends it.
void try_documented_cluster(const std::string& begin, const std::string& end, const std::string& scheme,
                            const std::vector<std::string>& options) {
  const TempDir directory;
  const std::uint16_t base = six_free_ports();
  const auto run = [&](const std::string& script) {
    return run_program({"/bin/bash", "-ec", script}, {{"BASE", std::to_string(base)}}, 120s, directory.path());
  };
  const ProgramResult started = run(begin);
  CAPTURE(started.all());
  CHECK(started.status == 0);
  if (started.status == 0) {
    std::vector<std::string> arguments = options;
    for (std::string& argument : arguments) {
      if (argument.ends_with(".pem") || argument.ends_with(".key")) argument = directory / argument;
    }
    const std::string url =
        scheme + "+cluster://127.0.0.1:" + std::to_string(base) + ",127.0.0.1:" + std::to_string(base + 1);
    const ServerProcess server({.workers = 2, .redis = url, .arguments = arguments});
    CHECK(server.wait_redis());
    for (int i = 0; i < 10; ++i) {
      const std::string cookie = new_session(server);
      CHECK(visits(server, cookie) == 2);
    }
  }
  CHECK(run(end).status == 0);
}

}  // namespace

TEST_CASE("the commands of the documentation set up a cluster that a server uses", "[redis][cluster][load]") {
  const std::vector<std::string> blocks = shell_blocks("state.md");
  REQUIRE(blocks.size() == 4);
  try_documented_cluster(blocks[0], blocks[1], "redis", {});
}

TEST_CASE("the commands of the documentation set up a cluster with TLS", "[redis][cluster][tls][load]") {
  const std::vector<std::string> blocks = shell_blocks("state.md");
  REQUIRE(blocks.size() == 4);
  try_documented_cluster(
      blocks[2], blocks[3], "rediss",
      {"--redis-ca", "ca.pem", "--redis-certificate", "pronghorn.pem", "--redis-key", "pronghorn.key"});
}

TEST_CASE("sessions and limits work on a cluster, and outlive the loss of a primary", "[redis][cluster][load]") {
  RedisCluster cluster({.arguments = {"--cluster-require-full-coverage", "no"}});
  const ServerProcess server({.workers = 2, .redis = cluster.url()});
  REQUIRE(server.wait_redis());
  std::vector<std::string> cookies;
  for (int i = 0; i < 30; ++i) cookies.push_back(new_session(server));
  for (const std::string& cookie : cookies) CHECK(visits(server, cookie) == 2);
  CHECK(get(server.address(), "/limited").status == 200);
  const auto status = server.worker(0);
  CHECK(status.at("redis").at("nodes").size() >= 1);
  CHECK(status.at("redis").at("nodes").at(0).at("circuit") == "closed");

  // What is not replicated yet would be lost.
  REQUIRE(eventually(30s, [&] { return cluster.node(3).command({"DBSIZE"}) == cluster.node(0).command({"DBSIZE"}); }));
  cluster.node(0).kill();
  cluster.wait_promoted(3);
  REQUIRE(eventually(30s, [&] {
    return std::ranges::all_of(cookies, [&](const std::string& cookie) { return visits(server, cookie) > 2; });
  }));
  CHECK(get(server.address(), "/ready").status == 200);
  CHECK(server.worker_pids().size() == 2);
}

TEST_CASE("a server follows the primary that sentinels name", "[redis][sentinel][load]") {
  RedisSentinels sentinels;
  const ServerProcess server({.workers = 1, .redis = sentinels.url()});
  REQUIRE(server.wait_redis());
  const std::string cookie = new_session(server);
  REQUIRE(visits(server, cookie) == 2);
  sentinels.server(0).kill();
  REQUIRE(eventually(60s, [&] { return sentinels.primary() != 0; }));
  CHECK(eventually(10s, [&] { return visits(server, cookie) > 2; }));
  CHECK(server.log_lines("sentinels name another primary").size() == 1);
}
