// A cluster and sentinels all of whose connections use TLS.
#include "support/processes/redis_cluster.h"
#include "support/tls/test_authority.h"
#include "unit/worker/state/limits/checks.h"
#include "unit/worker/state/sessions/stored_session.h"
#include "unit/worker/state/state_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;

namespace {

Config mutual_config(const std::string& url, TestAuthority& authority) {
  Config config = config_for(url);
  const IssuedFiles own = authority.issue_files();
  config.redis_ca_pem = read_file(authority.ca());
  config.redis_certificate_pem = read_file(own.certificate);
  config.redis_key_pem = read_file(own.key);
  return config;
}

bool sets(StateWorker& worker, const std::string& key) {
  try {
    return worker.command("SET", key, "v").string() == "OK";
  } catch (const RedisUnavailable&) {
    return false;
  }
}

}  // namespace

TEST_CASE("a cluster with TLS serves all keys, through the loss of a primary", "[redis][cluster][tls]") {
  TestAuthority authority;
  RedisCluster cluster({.node_timeout = 1s,
                        .arguments = {"--cluster-require-full-coverage", "no"},
                        .tls = authority.redis_arguments(authority.issue_files())});
  StateWorker worker(mutual_config(cluster.url(), authority));
  worker.ready();
  for (int i = 0; i < 60; ++i) CHECK(worker.command("SET", "key:" + std::to_string(i), i).string() == "OK");
  for (std::size_t i = 0; i < 3; ++i) CHECK(cluster.node(i).command({"DBSIZE"}) != "0");

  cluster.node(0).kill();
  cluster.wait_promoted(3);
  for (int i = 0; i < 60; ++i) {
    REQUIRE(worker.wait([&] { return sets(worker, "key:" + std::to_string(i)); }, 30s));
  }
}

// Sessions and limits once knew a cluster by redis+cluster:// alone: over TLS every login() was a 500, and routes with
// limits by two keys had none.
TEST_CASE("on a cluster with TLS, sessions log in and limits by different keys count",
          "[redis][cluster][tls][session][limit]") {
  TestAuthority authority;
  RedisCluster cluster(
      {.replicas = 0, .node_timeout = 15s, .arguments = {}, .tls = authority.redis_arguments(authority.issue_files())});
  StateWorker worker(mutual_config(cluster.url(), authority));
  worker.ready();
  for (const char* const user : {"ann", "bob", "cid", "dee"}) {
    Visit visit(worker, new_session(worker));
    visit.session().login(user);
    Visit later(worker, visit.commit_id());
    CHECK(later.session().user() == user);
    const std::vector<Limit> both{per_client(5, 1h), per_key(1, 1h, [user](Request&) { return std::string(user); })};
    CHECK(check(worker, both, "192.0.2.1", "GET /both").allowed);
    CHECK_FALSE(check(worker, both, "192.0.2.1", "GET /both").allowed);
  }
  CHECK((*worker.row)[Count::limits_unavailable].load() == 0);
}

// Nodes announce addresses, and their certificates have names only: what is verified is the announced host name.
TEST_CASE("nodes of a cluster are verified by the host name that they announce", "[redis][cluster][tls]") {
  TestAuthority authority;
  const IssuedFiles shown = authority.issue_files({.names = {"localhost"}});
  const auto start = [&](std::vector<std::string> arguments) {
    return std::make_unique<RedisCluster>(ClusterOptions{.replicas = 0,
                                                         .node_timeout = 15s,
                                                         .arguments = std::move(arguments),
                                                         .tls = authority.redis_arguments(shown)});
  };
  const auto seeds_of = [](RedisCluster& cluster) {
    return "rediss+cluster://localhost:" + std::to_string(cluster.node(0).port());
  };
  SECTION("beside the address") {
    const auto cluster = start({"--cluster-announce-hostname", "localhost"});
    StateWorker worker(mutual_config(seeds_of(*cluster), authority));
    worker.ready();
    for (int i = 0; i < 30; ++i) CHECK(worker.command("SET", "key:" + std::to_string(i), i).string() == "OK");
  }
  SECTION("in its place") {
    const auto cluster =
        start({"--cluster-announce-hostname", "localhost", "--cluster-preferred-endpoint-type", "hostname"});
    StateWorker worker(mutual_config(seeds_of(*cluster), authority));
    worker.ready();
    for (int i = 0; i < 30; ++i) CHECK(worker.command("SET", "key:" + std::to_string(i), i).string() == "OK");
  }
  SECTION("without one, by the address, or by a fixed name") {
    const auto cluster = start({});
    Config config = mutual_config(seeds_of(*cluster), authority);
    config.redis_timeout = 300ms;
    {
      StateWorker worker(config);
      worker.start();
      std::string why;
      REQUIRE(worker.wait([&] {
        CHECK_FALSE(sets(worker, "k"));
        why = worker.row->redis_error.get();
        return why.find("certificate is for localhost, not for 127.0.0.1") != std::string::npos;
      }));
      CHECK(why.find("redis_tls_name") != std::string::npos);
    }
    config.redis_timeout = 10s;
    config.redis_tls_name = "localhost";
    StateWorker worker(config);
    worker.ready();
    for (int i = 0; i < 30; ++i) CHECK(worker.command("SET", "key:" + std::to_string(i), i).string() == "OK");
  }
}

TEST_CASE("sentinels and servers with TLS: the primary is found, and its successor", "[redis][sentinel][tls]") {
  TestAuthority authority;
  RedisSentinels sentinels(authority.redis_arguments(authority.issue_files()));
  StateWorker worker(mutual_config(sentinels.url(), authority));
  worker.ready();
  CHECK(worker.command("SET", "k", "v").string() == "OK");
  REQUIRE(worker.wait([&] {
    return sentinels.server(1).command({"GET", "k"}) == "v" && sentinels.server(2).command({"GET", "k"}) == "v";
  }));
  sentinels.server(0).kill();
  REQUIRE(worker.wait([&] { return sentinels.primary() != 0; }, 60s));
  REQUIRE(worker.wait([&] { return sets(worker, "k2"); }, 60s));
  CHECK(worker.command("GET", "k").string() == "v");
}

TEST_CASE("a sentinel whose certificate is wrong is named, with the reason", "[redis][sentinel][tls]") {
  TestAuthority authority;
  TestAuthority another("Another Authority");
  RedisOptions options{.password = {}, .tcp = true, .arguments = {"--sentinel"}};
  options.tls = another.redis_arguments(another.issue_files(), "no");
  options.configuration = "sentinel monitor main 127.0.0.1 1 2\n";
  const RedisProcess sentinel(options);
  const std::string where = "127.0.0.1:" + std::to_string(sentinel.port());
  Config config = mutual_config("rediss+sentinel://" + where + "/main", authority);
  config.redis_timeout = 300ms;
  StateWorker worker(config);
  worker.start();
  std::string why;
  REQUIRE(worker.wait([&] { return (why = worker.row->redis_error.get()).find("not trusted") != std::string::npos; }));
  CHECK(why.find("sentinel " + where) != std::string::npos);
  CHECK(why.find("Redis at") == std::string::npos);
  CHECK(worker.fatal.find(why) != std::string::npos);
}
