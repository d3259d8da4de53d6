#include "worker/state/redis/redis_script.h"

#include <string>
#include <vector>

#include "worker/state/redis/redis_client.h"

namespace pronghorn::worker {
namespace {

bool is_unavailable(std::string_view error) {
  for (const std::string_view code : {"LOADING ", "BUSY ", "MASTERDOWN ", "READONLY ", "OOM ", "MISCONF ",
                                      "NOREPLICAS ", "CLUSTERDOWN ", "TRYAGAIN "}) {
    if (error.starts_with(code)) return true;
  }
  return false;
}

void send_script(RedisCall& call, std::string_view command, std::string_view script,
                 std::span<const std::string_view> keys, std::span<const std::string_view> args) {
  const std::string key_count = std::to_string(keys.size());
  std::vector<std::string_view> words;
  words.reserve(3 + keys.size() + args.size());
  words.insert(words.end(), {command, script, key_count});
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), args.begin(), args.end());
  call.send(words);
}

}  // namespace

void require_success(const Reply& reply) {
  if (!reply.is_error()) return;
  if (is_unavailable(reply.error())) throw RedisUnavailable(reply.error());
  throw RedisError(reply.error());
}

Task<Reply> run_script(RedisClient& client, const Script& script, std::span<const std::string_view> keys,
                       std::span<const std::string_view> args) {
  RedisCall by_name(client);
  send_script(by_name, "EVALSHA", script.sha1(), keys, args);
  co_await by_name;
  if (!by_name.reply().is_error() || !by_name.reply().error().starts_with("NOSCRIPT")) {
    require_success(by_name.reply());
    co_return std::move(by_name.reply());
  }
  RedisCall whole(client);  // which also makes the script known
  send_script(whole, "EVAL", script.source(), keys, args);
  co_await whole;
  require_success(whole.reply());
  co_return std::move(whole.reply());
}

}  // namespace pronghorn::worker
