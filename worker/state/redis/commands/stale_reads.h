// Commands that may be carried out by a replica: what it leaves to the primary.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "pronghorn/redis.h"

namespace pronghorn::worker {

class RedisCall;

// Whether a replica can answer these commands at all. It would publish to its own subscribers only.
[[nodiscard]] bool may_go_to_replica(std::span<const Command> commands);

// Whether this is the reply of a replica that has not carried the command out, although its primary may: it is a write,
// or the replica has no data at the moment, or is cut off from its cluster.
[[nodiscard]] bool is_left_to_primary(const Reply& reply) noexcept;

// The commands of a call to which that applies, by their indexes: with one of a transaction, all of it.
[[nodiscard]] std::vector<std::size_t> left_to_primary(std::span<const Command> commands, RedisCall& call);

}  // namespace pronghorn::worker
