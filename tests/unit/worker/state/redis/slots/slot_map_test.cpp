#include "worker/state/redis/slots/slot_map.h"

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::worker;

namespace {

const RedisHost kAsked{"192.0.2.9", 7000};

Reply text(std::string value) { return Reply(std::move(value)); }
Reply number(std::int64_t value) { return Reply(value); }
Reply list(Reply::Array values) { return Reply(std::move(values)); }
Reply node(std::string host, std::int64_t port) { return list({text(std::move(host)), number(port), text("id")}); }
Reply range(std::int64_t first, std::int64_t last, Reply::Array nodes) {
  Reply::Array parts{number(first), number(last)};
  for (Reply& each : nodes) parts.push_back(std::move(each));
  return list(std::move(parts));
}
Reply range(std::int64_t first, std::int64_t last, Reply one) {
  return range(first, last, Reply::Array{std::move(one)});
}

}  // namespace

TEST_CASE("the map of a cluster says which node serves a slot", "[redis][cluster]") {
  const auto map = parse_slot_map(list({range(0, 99, {node("a", 1), node("b", 2)}), range(100, 199, node("c", 3)),
                                        range(300, 300, {node("a", 1), node("b", 2)})}),
                                  kAsked);
  REQUIRE(map);
  REQUIRE(map->shards.size() == 2);
  CHECK(map->shards[0].primary == RedisHost{"a", 1});
  CHECK(map->shards[0].replicas == std::vector<RedisHost>{{"b", 2}});
  CHECK(map->shard_of[0] == 0);
  CHECK(map->shard_of[99] == 0);
  CHECK(map->shard_of[100] == 1);
  CHECK(map->shard_of[200] == SlotMap::kUnserved);
  CHECK(map->shard_of[300] == 0);
}

TEST_CASE("a node without a host is the one that was asked", "[redis][cluster]") {
  const auto map = parse_slot_map(list({range(0, 1, node("", 7)), range(2, 3, list({Reply(), number(8)}))}), kAsked);
  REQUIRE(map);
  CHECK(map->shards[0].primary == RedisHost{"192.0.2.9", 7});
  CHECK(map->shards[1].primary == RedisHost{"192.0.2.9", 8});
}

// What Redis 7 says of a node beside its preferred endpoint.
TEST_CASE("the map keeps the host names that nodes announce beside their addresses", "[redis][cluster][tls]") {
  const auto named = [](const char* address, std::int64_t port, Reply facts) {
    return list({text(address), number(port), text("id"), std::move(facts)});
  };
  const auto map = parse_slot_map(
      list({range(0, 9,
                  {named("10.0.0.1", 1, list({text("hostname"), text("one.example")})),
                   named("10.0.0.2", 2, list({text("ip"), text("x"), text("hostname"), text("two.example")}))}),
            range(10, 19, named("10.0.0.3", 3, list({}))),
            range(20, 29, named("10.0.0.4", 4, list({text("hostname")}))),
            range(30, 39, named("10.0.0.5", 5, list({text("hostname"), text("a b\r\n")}))),
            range(40, 49, named("10.0.0.6", 6, text("hostname"))),
            range(50, 59, named("10.0.0.7", 7, list({text("hostname"), text("")})))}),
      kAsked);
  REQUIRE(map);
  CHECK(map->names.size() == 2);
  CHECK(map->names.at({"10.0.0.1", 1}) == "one.example");
  CHECK(map->names.at({"10.0.0.2", 2}) == "two.example");
}

// One such node made the whole map unusable.
TEST_CASE("a node that announces no host name where all should is reached by its address", "[redis][cluster]") {
  const auto unnamed = [](Reply facts) { return list({text("?"), number(7), text("id"), std::move(facts)}); };
  const auto map = parse_slot_map(
      list({range(0, 9, node("one.example", 1)), range(10, 19, unnamed(list({text("ip"), text("10.0.0.2")})))}),
      kAsked);
  REQUIRE(map);
  CHECK(map->shards.at(map->shard_of[10]).primary == RedisHost{"10.0.0.2", 7});
  CHECK_FALSE(parse_slot_map(list({range(0, 9, unnamed(list({text("ip"), text("a b")})))}), kAsked));
  CHECK_FALSE(parse_slot_map(list({range(0, 9, unnamed(list({text("hostname"), text("x")})))}), kAsked));
  CHECK(parse_redirect("MOVED 3999 ?:6381")->kind == Redirect::Kind::try_again);
  CHECK(parse_redirect("ASK 3999 ?:6381")->kind == Redirect::Kind::try_again);
}

TEST_CASE("a hostile map is refused", "[redis][cluster]") {
  const auto refused = [](Reply reply) { return !parse_slot_map(reply, kAsked); };
  CHECK(refused(Reply()));
  CHECK(refused(text("0-16383")));
  CHECK(refused(list({})));
  CHECK(refused(list({text("x")})));
  CHECK(refused(list({list({number(0), number(1)})})));
  CHECK(refused(list({range(0, 16'384, node("a", 1))})));
  CHECK(refused(list({range(-1, 5, node("a", 1))})));
  CHECK(refused(list({range(5, 4, node("a", 1))})));
  CHECK(refused(list({range(0, 5, node("a", 0))})));
  CHECK(refused(list({range(0, 5, node("a", 65'536))})));
  CHECK(refused(list({range(0, 5, node("a b", 1))})));
  CHECK(refused(list({range(0, 5, node("a\r\nAUTH", 1))})));
  CHECK(refused(list({range(0, 5, node(std::string(256, 'a'), 1))})));
  CHECK(refused(list({range(0, 5, node("?", 1))})));
  CHECK(refused(list({range(0, 5, text("a"))})));
  CHECK(refused(list({range(0, 5, node("a", 1)), range(5, 9, node("b", 1))})));
  Reply::Array many;
  for (int i = 0; i < 1'001; ++i) many.push_back(range(i, i, node("h" + std::to_string(i), 1)));
  CHECK(refused(list(std::move(many))));
}

TEST_CASE("a redirection names a slot and a node", "[redis][cluster]") {
  const auto moved = parse_redirect("MOVED 3999 127.0.0.1:6381");
  REQUIRE(moved);
  CHECK(moved->kind == Redirect::Kind::moved);
  CHECK(moved->slot == 3999);
  CHECK(moved->to == RedisHost{"127.0.0.1", 6381});
  CHECK(parse_redirect("ASK 1 ::1:6381")->to == RedisHost{"::1", 6381});
  CHECK(parse_redirect("ASK 1 :6381")->to.host.empty());
  CHECK(parse_redirect("TRYAGAIN Multiple keys request during rehashing of slot")->kind == Redirect::Kind::try_again);
  for (const char* text :
       {"MOVED", "MOVED ", "MOVED x a:1", "MOVED 16384 a:1", "MOVED 1 a", "MOVED 1 a:0", "MOVED 1 a:x", "MOVED -1 a:1",
        "MOVED 1 a@b:1", "ASK 1 a:99999", "MOVED 1  a:1", "ERR MOVED 1 a:1"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_redirect(text));
  }
}
