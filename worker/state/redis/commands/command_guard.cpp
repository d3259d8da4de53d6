#include "worker/state/redis/commands/command_guard.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "worker/fields/text.h"
#include "worker/state/redis/node/redis_node.h"

namespace pronghorn::worker {
namespace {

// Commands that turn the connection into a stream of messages, or change what later commands mean.
constexpr std::array<std::string_view, 19> kChangesConnection{
    "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "MONITOR",
    "AUTH",      "SELECT",     "HELLO",      "RESET",       "QUIT",         "WATCH",        "UNWATCH",
    "SYNC",      "PSYNC",      "READONLY",   "READWRITE",   "ASKING"};
// The same for CLIENT. Local copies of the cache rely on the tracking of the connection.
constexpr std::array<std::string_view, 3> kClientChangesConnection{"REPLY", "TRACKING", "CACHING"};
// Commands that hold up every later command on the connection.
constexpr std::array<std::string_view, 8> kBlocks{"BLPOP",  "BRPOP",    "BRPOPLPUSH", "BLMOVE",
                                                  "BLMPOP", "BZPOPMIN", "BZPOPMAX",   "BZMPOP"};
constexpr std::array<std::string_view, 2> kAwaitsReplicas{"WAIT", "WAITAOF"};

bool is_one_of(std::string_view name, std::span<const std::string_view> names) noexcept {
  return std::any_of(names.begin(), names.end(),
                     [name](std::string_view entry) { return equal_ignoring_case(name, entry); });
}

bool has_word(const std::vector<std::string>& words, std::string_view wanted) noexcept {
  return std::any_of(words.begin() + 1, words.end(),
                     [wanted](const auto& word) { return equal_ignoring_case(word, wanted); });
}

void require_shareable(const std::vector<std::string>& words) {
  const std::string& name = words.front();
  std::size_t size = 0;
  for (const std::string& word : words) size += word.size();
  if (size > RedisNode::kMaxCommand) throw RedisError("a Redis command exceeds 512 MiB");
  const bool client_mode =
      equal_ignoring_case(name, "CLIENT") && words.size() > 1 && is_one_of(words[1], kClientChangesConnection);
  if (client_mode || is_one_of(name, kChangesConnection)) {
    throw RedisError(name + " is not allowed: it changes the connection that all handlers of the worker share");
  }
  const bool blocking_read =
      (equal_ignoring_case(name, "XREAD") || equal_ignoring_case(name, "XREADGROUP")) && has_word(words, "BLOCK");
  if (blocking_read || is_one_of(name, kBlocks)) {
    throw RedisError(name + " is not allowed in a pipeline(): it blocks the connection that all handlers share");
  }
  if (is_one_of(name, kAwaitsReplicas)) {
    throw RedisError(name + " is not allowed: it blocks the connection that all handlers of the worker share");
  }
}

}  // namespace

void require_shareable(std::span<const Command> commands) {
  bool in_transaction = false;
  for (const Command& command : commands) {
    if (command.words().empty()) throw RedisError("a Redis command without words");
    require_shareable(command.words());
    const std::string& name = command.words().front();
    if (equal_ignoring_case(name, "MULTI")) in_transaction = true;
    if (equal_ignoring_case(name, "EXEC") || equal_ignoring_case(name, "DISCARD")) in_transaction = false;
  }
  if (in_transaction) {
    throw RedisError("MULTI is not allowed without EXEC in the same pipeline(): other handlers share the connection");
  }
}

}  // namespace pronghorn::worker
