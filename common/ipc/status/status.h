// The scoreboard as JSON: the answer of /status and `pronghorn status --json`. docs/status.md describes the fields;
// fields are added, never renamed.
//
// Context: any process that maps the scoreboard, any thread. Every call reads all rows in use.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "common/ipc/scoreboard.h"
#include "common/ipc/status/fleet.h"

namespace pronghorn {

// `history_s`: how many seconds of the history to add; 0: none.
[[nodiscard]] nlohmann::json status_json(const Scoreboard& board, std::uint64_t history_s = 0);

// The same as text. Bytes of the shared memory that are not UTF-8 are replaced by U+FFFD.
[[nodiscard]] std::string status_json_text(const Scoreboard& board, std::uint64_t history_s = 0);

}  // namespace pronghorn
