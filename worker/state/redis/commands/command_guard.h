// Which commands an application may send over the connection that all handlers of a worker share.
#pragma once

#include <span>

#include "pronghorn/redis.h"

namespace pronghorn::worker {

// Throws RedisError if one of `commands`, which are sent back to back, would change the connection for other handlers
// or make them wait, or if a MULTI has no EXEC or DISCARD among them. pronghorn/redis.h lists what is refused.
void require_shareable(std::span<const Command> commands);

}  // namespace pronghorn::worker
