#include "worker/state/redis/slots/command_keys.h"

#include <sstream>
#include <string>
#include <vector>

#include "support/catch.h"
#include "support/processes/redis_process.h"
#include "worker/state/redis/slots/key_slot.h"

using namespace pronghorn::worker;

namespace {

using Words = std::vector<std::string_view>;

std::string keys_of(const Words& words) {
  const KeyRange range = command_keys(words);
  std::string keys;
  for (std::size_t i = 0; i < range.count; ++i) {
    if (!keys.empty()) keys += ' ';
    keys += words.at(range.first + i * range.step);
  }
  return keys;
}

}  // namespace

TEST_CASE("the keys of a command are found", "[redis][cluster]") {
  CHECK(keys_of({"GET", "a"}) == "a");
  CHECK(keys_of({"get", "a"}) == "a");
  CHECK(keys_of({"HSET", "a", "f", "v"}) == "a");
  CHECK(keys_of({"JSON.SET", "a", "$", "1"}) == "a");  // of a module
  CHECK(keys_of({"A-COMMAND-WITH-A-LONG-NAME", "a"}) == "a");
  CHECK(keys_of({"", "a"}) == "a");  // Redis will refuse it
  CHECK(keys_of({"\xc1\x80", "a"}) == "a");
  CHECK(keys_of({"acl", "a"}).empty());
  CHECK(keys_of({"zunionstore", "a", "1", "b"}) == "b");  // the last of the table
  CHECK(keys_of({"ZZZ", "a"}) == "a");
  CHECK(keys_of({"PING"}).empty());
  CHECK(keys_of({"PUBLISH", "c", "m"}).empty());
  CHECK(keys_of({"SPUBLISH", "c", "m"}) == "c");
  CHECK(keys_of({"DEL", "a", "b", "c"}) == "a b c");
  CHECK(keys_of({"MSET", "a", "1", "b", "2"}) == "a b");
  CHECK(keys_of({"RENAME", "a", "b"}) == "a b");
  CHECK(keys_of({"BITOP", "AND", "d", "a", "b"}) == "d a b");
  CHECK(keys_of({"BLPOP", "a", "b", "0"}) == "a b");
  CHECK(keys_of({"EVAL", "return 1", "2", "a", "b", "x"}) == "a b");
  CHECK(keys_of({"EVALSHA", "0123", "1", "a", "x"}) == "a");
  CHECK(keys_of({"FCALL", "f", "0", "x"}).empty());
  CHECK(keys_of({"ZUNION", "2", "a", "b", "WEIGHTS", "1", "2"}) == "a b");
  CHECK(keys_of({"LMPOP", "2", "a", "b", "LEFT"}) == "a b");
  CHECK(keys_of({"XREAD", "COUNT", "2", "STREAMS", "a", "b", "0", "0"}) == "a b");
  CHECK(keys_of({"XREADGROUP", "GROUP", "g", "c", "streams", "a", ">"}) == "a");
  CHECK(keys_of({"XGROUP", "CREATE", "a", "g", "$"}) == "a");
  CHECK(keys_of({"XADD", "a", "*", "f", "v"}) == "a");
  CHECK(keys_of({"OBJECT", "ENCODING", "a"}) == "a");
}

TEST_CASE("a command whose words are missing or wrong has no keys beyond its words", "[redis][cluster]") {
  CHECK(keys_of({}).empty());
  CHECK(keys_of({"GET"}).empty());
  CHECK(keys_of({"MSET"}).empty());
  CHECK(keys_of({"BLPOP", "0"}).empty());
  CHECK(keys_of({"EVAL", "return 1"}).empty());
  CHECK(keys_of({"EVAL", "return 1", "9", "a"}) == "a");
  CHECK(keys_of({"EVAL", "return 1", "-1", "a"}).empty());
  CHECK(keys_of({"EVAL", "return 1", "99999999999999999999999", "a"}).empty());
  CHECK(keys_of({"ZUNION", "x", "a"}).empty());
  CHECK(keys_of({"XREAD", "STREAMS"}).empty());
  CHECK(keys_of({"XREAD", "COUNT", "1"}).empty());
}

TEST_CASE("the slot of a command is that of its keys, which must be one", "[redis][cluster]") {
  const Words one{"MGET", "{t}a", "{t}b"};
  CHECK(command_slot(one).slot == key_slot("t"));
  CHECK_FALSE(command_slot(one).crosses);
  const Words two{"MGET", "{t}a", "{u}b", "{v}c"};
  const CommandSlot crossing = command_slot(two);
  CHECK(crossing.crosses);
  CHECK(crossing.key == "{t}a");
  CHECK(crossing.other_key == "{u}b");
  CHECK_FALSE(command_slot(Words{"PING"}).slot);
  // The destination and the sources.
  CHECK(command_slot(Words{"ZUNIONSTORE", "{t}d", "1", "{u}a"}).crosses);
  CHECK_FALSE(command_slot(Words{"ZUNIONSTORE", "{t}d", "2", "{t}a", "{t}b"}).crosses);
}

// Asks Redis itself where the keys of each of its commands are, and compares one with two keys at the places it names.
TEST_CASE("the table agrees with what this Redis says of its own commands", "[redis][cluster]") {
  const pronghorn::test::RedisProcess redis;
  std::istringstream names(redis.command({"COMMAND", "LIST"}));
  int checked = 0;
  for (std::string name; std::getline(names, name);) {
    if (name.find('|') != std::string::npos || name == "migrate" || name.starts_with("repl")) continue;
    // Two plausible forms: "NAME k1 k2 v" and one with a count.
    for (const auto& tail :
         {std::vector<std::string>{"k1", "k2", "v1", "v2"}, std::vector<std::string>{"x", "1", "k1", "v"},
          std::vector<std::string>{"1", "k1", "v", "w"}}) {
      std::vector<std::string> ask{"COMMAND", "GETKEYS", name};
      ask.insert(ask.end(), tail.begin(), tail.end());
      const std::string reply = redis.command(ask);
      if (reply.starts_with("-")) continue;
      std::string expected = reply;
      for (char& c : expected) c = c == '\n' ? ' ' : c;
      Words words{name};
      for (const std::string& word : tail) words.push_back(word);
      CAPTURE(name, tail);
      std::string found = keys_of(words);
      const CommandSlot slot = command_slot(words);
      if (found != expected) {  // the destination of a counted command comes first
        CHECK(slot.key == expected.substr(0, expected.find(' ')));
      }
      ++checked;
    }
  }
  CHECK(checked > 150);
}
