#include "worker/state/redis/commands/stale_reads.h"

#include <algorithm>
#include <string_view>

#include "worker/fields/text.h"
#include "worker/state/redis/node/redis_call.h"
#include "worker/state/redis/protocol/reply_errors.h"

namespace pronghorn::worker {

bool may_go_to_replica(std::span<const Command> commands) {
  return std::ranges::none_of(
      commands, [](const Command& command) { return equal_ignoring_case(command.words().front(), "PUBLISH"); });
}

bool is_left_to_primary(const Reply& reply) noexcept {
  if (!reply.is_error()) return false;
  const std::string_view code = error_code(reply.error());
  return code == "READONLY" || code == "MASTERDOWN" || code == "LOADING" || code == "BUSY" || code == "CLUSTERDOWN";
}

std::vector<std::size_t> left_to_primary(std::span<const Command> commands, RedisCall& call) {
  std::vector<std::size_t> left;
  std::size_t first = 0;  // of the transaction, or the command itself
  bool in_transaction = false, is_left = false;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    const std::string_view name = commands[i].words().front();
    if (!in_transaction) {
      first = i;
      is_left = false;
    }
    is_left = is_left || is_left_to_primary(call.reply(i));
    in_transaction = equal_ignoring_case(name, "MULTI") ||
                     (in_transaction && !equal_ignoring_case(name, "EXEC") && !equal_ignoring_case(name, "DISCARD"));
    for (std::size_t each = first; is_left && !in_transaction && each <= i; ++each) left.push_back(each);
  }
  return left;
}

}  // namespace pronghorn::worker
