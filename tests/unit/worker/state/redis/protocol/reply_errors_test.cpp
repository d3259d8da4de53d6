#include "worker/state/redis/protocol/reply_errors.h"

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::worker;

TEST_CASE("the code of an error is its first word, or that of the error inside a script", "[redis]") {
  CHECK(error_code("READONLY You can't write against a read only replica.") == "READONLY");
  CHECK(error_code("OOM command not allowed when used memory > 'maxmemory'. script: 1f47, on @user_script:1.") ==
        "OOM");
  CHECK(error_code(
            "ERR Error running script (call to f_1f47): @user_script:3: @user_script: 3: -READONLY You can't write") ==
        "READONLY");
  CHECK(error_code("ERR The user executing the script can't run this command or subcommand script: 1f47") == "NOPERM");
  CHECK(error_code(
            "ERR Error running script (call to f_1f47): @user_script:1: The user executing the script can't run") ==
        "NOPERM");
  CHECK(error_code("ERR value is not an integer or out of range") == "ERR");
  CHECK(error_code("").empty());
}

TEST_CASE("an error about the type of a key names the keys of the command", "[redis]") {
  const auto named = [](const char* text, std::vector<std::string_view> keys) {
    Reply reply(Reply::Error{text});
    name_keys(reply, keys);
    return reply.error();
  };
  constexpr const char* kWrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
  CHECK(named(kWrong, {"a"}) == std::string(kWrong) + " (key a)");
  CHECK(named(kWrong, {"a", "b\n\xff"}) == std::string(kWrong) + " (one of a, b\\x0a\\xff)");
  CHECK(named(kWrong, {}) == kWrong);
  CHECK(named(kWrong, {std::string_view(kWrong, 65), "x"}).size() < 300);
  CHECK(named("READONLY You can't write against a read only replica.", {"a"}).find("(key") == std::string::npos);
  for (const std::string error :
       {"ERR hash value is not an integer", "ERR value is not an integer or out of range", "ERR no such key",
        "ERR hash value is not a float script: f_1, on @user_script:1.", "INVALIDOBJ Corrupted HLL object detected",
        "ERR Error running script (call to f_1): @user_script:1: ERR hash value is not an integer"}) {
    CHECK(named(error.c_str(), {"a"}) == error + " (key a)");
  }
  CHECK(named("ERR unknown command 'X'", {"a"}).find("(key") == std::string::npos);
  const std::string longest(100'000, 'k');
  CHECK(named(kWrong, std::vector<std::string_view>(1'000, longest)).size() < 3'000);
}

TEST_CASE("a refusal makes Redis unavailable, another error does not", "[redis]") {
  const auto error = [](const char* text) { return Reply(Reply::Error{text}); };
  for (const char* text : {"LOADING Redis is loading the dataset in memory", "CLUSTERDOWN Hash slot not served",
                           "NOREPLICAS Not enough good replicas to write.", "ERR max number of clients reached"}) {
    CHECK_THROWS_AS(require_success(error(text)), RedisUnavailable);
    CHECK_THROWS_AS(require_served(error(text)), RedisUnavailable);
  }
  const Reply forbidden = error("NOPERM this user has no permissions to run the 'hset' command");
  CHECK_THROWS_AS(require_served(forbidden), RedisUnavailable);
  for (const Reply& reply : {forbidden, error("WRONGTYPE Operation against a key holding the wrong kind of value")}) {
    try {
      require_success(reply);
      FAIL("nothing thrown");
    } catch (const RedisUnavailable&) {
      FAIL("thrown as unavailable");
    } catch (const RedisError&) {
    }
  }
  CHECK_NOTHROW(require_success(Reply(std::string("OK"))));
}
