// Local copies of what a real cluster of three primaries with a replica each keeps: each node tells of changes of its own
// keys, over connections of its own.
#include <memory>
#include <string>
#include <vector>

#include "support/processes/redis_cluster.h"
#include "unit/worker/state/cache/local/local_reads.h"
#include "worker/state/redis/slots/key_slot.h"

using namespace pronghorn;
using namespace pronghorn::test;
using namespace std::chrono_literals;

namespace {

std::string in_redis(const std::string& key) { return "app:c:{" + key + "}"; }

// A key of the cache that node `index` serves.
std::string key_at(const RedisCluster& nodes, std::size_t index, const std::string& prefix) {
  for (int i = 0;; ++i) {
    const std::string key = prefix + std::to_string(i);
    if (nodes.owner_of(in_redis(key)) == index) return key;
  }
}

}  // namespace

TEST_CASE("in a cluster a change on any node drops the local copies of that key alone", "[cluster][cache]") {
  CacheWorker first(shared_cluster().url()), second(shared_cluster().url());
  std::vector<std::string> keys;
  for (std::size_t node = 0; node < 3; ++node) keys.push_back(key_at(shared_cluster(), node, "change"));
  for (const std::string& key : keys) {
    first.get(key, "old", kLocal);
    REQUIRE(becomes_local(first, key, "old"));
  }
  for (std::size_t i = 0; i < 3; ++i) {
    second.run(second.cache().invalidate(keys[i]));
    CHECK(first.wait([&] { return first.get(keys[i], "new", kLocal) == "new"; }));
    for (std::size_t later = i + 1; later < 3; ++later) CHECK(is_local(first, keys[later], "old"));
    REQUIRE(becomes_local(first, keys[i], "new"));
  }
}

TEST_CASE("in a cluster an invalidated tag drops the local copies that carry it, on whatever node they are",
          "[cluster][cache]") {
  CacheWorker first(shared_cluster().url()), second(shared_cluster().url());
  const CacheOptions options{.ttl = 100s, .tags = {"tag of all"}, .local = true};
  std::vector<std::string> keys;
  for (std::size_t node = 0; node < 3; ++node) {
    keys.push_back(key_at(shared_cluster(), node, "tagged"));
    first.get(keys.back(), "old", options);
    REQUIRE(becomes_local(first, keys.back(), "old", options));
  }
  second.run(second.cache().invalidate_tag("tag of all"));
  for (const std::string& key : keys) {
    CHECK(first.wait([&] { return first.get(key, "new", options) == "new"; }));
    REQUIRE(becomes_local(first, key, "new", options));
  }
}

TEST_CASE("a connection to one node of a cluster that breaks drops the local copies of its keys alone",
          "[cluster][cache]") {
  CacheWorker worker(shared_cluster().url());
  const std::string lost = key_at(shared_cluster(), 0, "broken"), kept = key_at(shared_cluster(), 1, "whole");
  worker.get(lost, "old", kLocal);
  worker.get(kept, "kept", kLocal);
  for (const char* type : {"pubsub", "normal"}) {
    const std::string value = worker.get(lost, "old", kLocal);
    REQUIRE(becomes_local(worker, lost, value));
    REQUIRE(becomes_local(worker, kept, "kept"));
    shared_cluster().node(0).command({"CLIENT", "KILL", "TYPE", type, "SKIPME", "yes"});
    shared_cluster().node(0).command({"DEL", in_redis(lost)});  // nobody hears of it
    CHECK(worker.wait([&] {
      return worker.get(lost, type, kLocal) == type &&
             shared_cluster().node(0).command({"EXISTS", in_redis(lost)}) == "1";
    }));
    CHECK(is_local(worker, kept, "kept"));
  }
  REQUIRE(becomes_local(worker, lost, "normal"));
}

TEST_CASE("a slot that moves to another node takes its local copies along, which are right there", "[cluster][cache]") {
  CacheWorker first(shared_cluster().url()), second(shared_cluster().url());
  const std::string key = key_at(shared_cluster(), 0, "moving");
  first.get(key, "1", kLocal);
  REQUIRE(becomes_local(first, key, "1"));
  shared_cluster().move_slot(worker::key_slot(in_redis(key)), 0, 1);
  second.run(second.cache().invalidate(key));
  CHECK(first.wait([&] { return first.get(key, "2", kLocal) == "2"; }));
  REQUIRE(becomes_local(first, key, "2"));  // told of by the node that has it now
  second.run(second.cache().invalidate(key));
  CHECK(first.wait([&] { return first.get(key, "3", kLocal) == "3"; }));
  shared_cluster().move_slot(worker::key_slot(in_redis(key)), 1, 0);
}

TEST_CASE("a cluster whose user may use no transactions has the values, without local copies", "[cluster][cache]") {
  shared_cluster().command_all({"ACL", "SETUSER", "default", "-@transaction"});
  {
    CacheWorker worker(shared_cluster().url());
    const std::string key = key_at(shared_cluster(), 0, "forbidden");
    CHECK(worker.get(key, "v", kLocal) == "v");
    worker.turn(50ms);
    for (int i = 0; i < 3; ++i) {
      const auto commands = worker.count(Count::redis_commands);
      CHECK(worker.get(key, "not called", kLocal) == "v");
      CHECK(worker.count(Count::redis_commands) > commands);
      worker.turn(20ms);
    }
  }
  shared_cluster().command_all({"ACL", "SETUSER", "default", "+@all"});
}

TEST_CASE("a primary that is killed takes its local copies with it, and its replica's are right", "[cluster][cache]") {
  RedisCluster nodes;
  CacheWorker first(nodes.url()), second(nodes.url());
  const std::string lost = key_at(nodes, 0, "lost"), kept = key_at(nodes, 1, "kept");
  first.get(lost, "old", kLocal);
  first.get(kept, "kept", kLocal);
  REQUIRE(becomes_local(first, lost, "old"));
  REQUIRE(becomes_local(first, kept, "kept"));
  nodes.node(0).kill();
  // Nothing tells of its keys now, so they are not answered from memory.
  CHECK(first.wait([&] { return first.get(lost, "computed", kLocal) == "computed"; }));
  CHECK(is_local(first, kept, "kept"));
  nodes.wait_promoted(3);
  CHECK(second.wait([&] {
    try {
      second.run(second.cache().invalidate(lost));
      return true;
    } catch (const RedisUnavailable&) {
      return false;
    }
  }));
  // Without Redis the fill runs, and nothing is stored.
  CHECK(first.wait([&] {
    return first.get(lost, "new", kLocal) == "new" && nodes.node(3).command({"EXISTS", in_redis(lost)}) == "1";
  }));
  REQUIRE(becomes_local(first, lost, "new"));
  second.run(second.cache().invalidate(lost));
  CHECK(first.wait([&] { return first.get(lost, "newer", kLocal) == "newer"; }));
}

TEST_CASE("a primary that is demoted takes its local copies with it although its connections stay",
          "[cluster][cache]") {
  RedisCluster nodes;
  CacheWorker first(nodes.url()), second(nodes.url());
  const std::string key = key_at(nodes, 0, "demoted");
  first.get(key, "old", kLocal);
  REQUIRE(becomes_local(first, key, "old"));
  nodes.node(3).command({"CLUSTER", "FAILOVER"});
  nodes.wait_promoted(3);
  second.run(second.cache().invalidate(key));
  CHECK(first.wait([&] { return first.get(key, "new", kLocal) == "new"; }));
  REQUIRE(becomes_local(first, key, "new"));
  second.run(second.cache().invalidate(key));
  CHECK(first.wait([&] { return first.get(key, "newer", kLocal) == "newer"; }));
}
