#include <type_traits>
#include <utility>

#include "unit/worker/state/state_worker.h"

using namespace pronghorn;
using namespace pronghorn::test;

TEST_CASE("a command reaches Redis and its reply comes back", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  CHECK(worker.command("SET", "k", "va\0lue").string() == "OK");
  CHECK(worker.command("GET", "k").string() == "va");
  CHECK(worker.command("GET", "absent").is_nil());
  CHECK(worker.command("INCRBY", "n", 41).integer() == 41);
  CHECK(worker.command("RPUSH", "list", "a", "b").integer() == 2);
  const Reply list = worker.command("LRANGE", "list", 0, -1);
  REQUIRE(list.array().size() == 2);
  CHECK(list.array()[1].string() == "b");
  CHECK_THROWS_AS(list.integer(), RedisError);
  CHECK_THROWS_AS(worker.command("INCR", "k"), RedisError);
  const std::string binary("\r\n\0$5\r\n", 8);
  worker.command("SET", "binary", binary);
  CHECK(worker.command("GET", "binary").string() == binary);
  CHECK(worker.row->redis_state.load() == RedisState::up);
  CHECK((*worker.row)[Count::redis_commands].load() == 9);
  CHECK((*worker.row)[Count::redis_errors].load() == 1);
  CHECK((*worker.row)[Count::redis_latency].load() > 0);
}

TEST_CASE("the content of a temporary reply can be kept", "[redis]") {
  static_assert(std::is_same_v<decltype(std::declval<Reply>().string()), std::string>);
  Reply::Array names;
  names.emplace_back("first");
  names.emplace_back("second");
  std::string joined;
  for (const Reply& name : Reply(std::move(names)).array()) joined += name.string();
  CHECK(joined == "firstsecond");
  CHECK(Reply(std::string("text")).string() == "text");
  CHECK_THROWS_AS(Reply(std::int64_t{1}).string(), RedisError);
  CHECK_THROWS_AS(Reply(Reply::Error{"ERR no"}).array(), RedisError);
}

TEST_CASE("a pipeline gives every reply, refused commands as error replies", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  std::vector<Command> commands;
  commands.emplace_back("MULTI");
  commands.emplace_back("SET", "a", 1);
  commands.emplace_back("EXEC");
  commands.emplace_back("NO-SUCH-COMMAND");
  commands.emplace_back("GET", "a");
  const std::vector<Reply> replies = worker.run(worker.redis().pipeline(std::move(commands)));
  REQUIRE(replies.size() == 5);
  CHECK(replies[2].array().at(0).string() == "OK");
  CHECK(replies[3].is_error());
  CHECK(replies[4].string() == "1");
  CHECK(worker.run(worker.redis().pipeline({})).empty());
}

TEST_CASE("a command larger than the socket's buffer arrives whole", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const std::string large(20'000'000, 'x');
  worker.command("SET", "large", large);
  CHECK(worker.command("GET", "large").string() == large);
}

TEST_CASE("a script is loaded by its first run, and again after SCRIPT FLUSH", "[redis]") {
  RedisProcess redis;
  StateWorker worker(redis.url());
  worker.ready();
  const Script script("return {KEYS[1], ARGV[1]}");
  for (int i = 0; i < 3; ++i) {
    const Reply reply = worker.run(worker.redis().script(script, {"k"}, {"v"}));
    CHECK(reply.array().at(1).string() == "v");
  }
  CHECK(redis.command({"SCRIPT", "EXISTS", script.sha1()}) == "1");
  CHECK((*worker.row)[Count::redis_commands].load() == 4);
  CHECK((*worker.row)[Count::redis_errors].load() == 0);
  redis.command({"SCRIPT", "FLUSH"});
  CHECK(worker.run(worker.redis().script(script, {"k"}, {"w"})).array().at(1).string() == "w");
}
