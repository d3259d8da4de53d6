#pragma once

#include <string>

#include "common/ipc/scoreboard.h"

namespace pronghorn {

// The id of the request as its response and the access log have it: that of a trusted proxy, or else our own.
[[nodiscard]] std::string id_of(const RunningRequest& running);

}  // namespace pronghorn
