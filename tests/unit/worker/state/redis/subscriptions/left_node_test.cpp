// The subscriber's node leaves the cluster, and goes on to answer.
#include <string>

#include "support/processes/redis_cluster.h"
#include "unit/worker/state/state_worker.h"
#include "worker/state/redis/subscriptions/subscriber.h"

using namespace pronghorn;
using namespace pronghorn::test;
using worker::Subscriber;
using worker::Subscription;

namespace {

struct Notes final : Subscriber::Listener {
  void message(std::string_view, const Reply&) override { ++messages; }
  void interrupted(std::string_view) override { ++interruptions; }
  int messages = 0;
  int interruptions = 0;
};

bool has_subscriber(const RedisProcess& node) {
  return node.command({"CLIENT", "LIST"}).find("name=app:0:events") != std::string::npos;
}

}  // namespace

TEST_CASE("a subscriber leaves a node that has left the cluster", "[redis][cluster][events]") {
  RedisCluster cluster({.node_timeout = 15s, .arguments = {}});
  StateWorker worker(config_for(cluster.url()));
  worker.ready();
  Notes notes;
  const Subscription one = worker.state->subscriber->subscribe("c", notes);
  REQUIRE(worker.wait([&] { return one.active(); }));
  std::size_t left = 0;
  while (!has_subscriber(cluster.node(left))) REQUIRE(++left < 3);
  const std::size_t heir = left + 3, other = (left + 1) % 3;
  cluster.node(other).command({"PUBLISH", "c", "x"});
  REQUIRE(worker.wait([&] { return notes.messages == 1; }));

  // As redis-cli --cluster del-node does it.
  REQUIRE(worker.wait([&] { return cluster.node(heir).command({"CLUSTER", "FAILOVER", "TAKEOVER"}) == "OK"; }, 30s));
  cluster.wait_promoted(heir);
  REQUIRE(worker.wait(
      [&] { return cluster.node(left).command({"INFO", "replication"}).find("role:slave") != std::string::npos; },
      30s));
  const std::string id = cluster.id(left);
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    if (i != left) REQUIRE(worker.wait([&] { return cluster.node(i).command({"CLUSTER", "FORGET", id}) == "OK"; }));
  }
  REQUIRE(cluster.node(left).command({"CLUSTER", "RESET", "SOFT"}) == "OK");

  const auto arrives = [&] {
    cluster.node(other).command({"PUBLISH", "c", "y"});
    return notes.messages > 1;
  };
  REQUIRE(worker.wait(arrives, 60s));
  CHECK(notes.interruptions == 1);
  CHECK_FALSE(has_subscriber(cluster.node(left)));
}
