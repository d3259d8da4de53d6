#include "worker/state/redis/run_script.h"

#include <string>
#include <utility>

#include "worker/state/redis/node/redis_call.h"
#include "worker/state/redis/protocol/reply_errors.h"
#include "worker/state/redis/protocol/words.h"

namespace pronghorn::worker {
namespace {

void send_script(RedisCall& call, std::string_view command, std::string_view script,
                 std::span<const std::string_view> keys, std::span<const std::string_view> args) {
  const std::string key_count = std::to_string(keys.size());
  Words words{command, script, key_count};
  words.add(keys);
  words.add(args);
  call.send(words.all());
}

}  // namespace

Task<Reply> run_script(RedisClient& client, const Script& script, std::span<const std::string_view> keys,
                       std::span<const std::string_view> args, CallOptions options) {
  RedisCall by_sha1(client, options);
  send_script(by_sha1, "EVALSHA", script.sha1(), keys, args);
  co_await by_sha1;
  if (!by_sha1.reply().is_error() || !by_sha1.reply().error().starts_with("NOSCRIPT")) {
    if (options.names_keys) name_keys(by_sha1.reply(), keys);
    co_return std::move(by_sha1.reply());
  }
  RedisCall by_source(client, options);  // EVAL also makes Redis remember the script
  send_script(by_source, "EVAL", script.source(), keys, args);
  co_await by_source;
  if (options.names_keys) name_keys(by_source.reply(), keys);
  co_return std::move(by_source.reply());
}

}  // namespace pronghorn::worker
