// Which commands an application may send over the connection that all handlers of the worker share.
#pragma once

#include <span>

#include "pronghorn/redis.h"

namespace pronghorn::worker {

// Throws RedisError when one of `commands`, which are sent one after the other without another's in between, would
// change the connection for others or make them wait. See pronghorn/redis.h.
void require_shareable(std::span<const Command> commands);

}  // namespace pronghorn::worker
