// The scoreboard as JSON: what /status and `pronghorn status --json` answer. Its fields are described in
// docs/status.md; fields are added, never renamed.
//
// Context: any process that maps the scoreboard, any thread. Every call reads all rows that are in use.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "common/ipc/fleet.h"
#include "common/ipc/scoreboard.h"

namespace pronghorn {

[[nodiscard]] nlohmann::json status_json(const Scoreboard& board);

// The same as text. What was torn or is not UTF-8 in the shared memory is replaced by U+FFFD.
[[nodiscard]] std::string status_json_text(const Scoreboard& board);

// Lower case, as in the JSON. "unknown" for a value that this build does not know.
[[nodiscard]] const char* to_string(SlotState state) noexcept;
[[nodiscard]] const char* to_string(WorkerPhase phase) noexcept;
[[nodiscard]] const char* to_string(RedisState state) noexcept;

}  // namespace pronghorn
