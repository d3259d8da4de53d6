// The quarantine: requests that killed workers, and are refused for a while.
//
// A request is identified by its method, its route and the shape of its path (worker/state/quarantine/
// quarantine_gate.h). The table in the scoreboard lists what this machine refuses: the supervisor writes it, every
// worker reads it before it runs a handler. Redis has what all machines refuse; workers synchronise the two
// (worker/control/quarantine_keeper.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/ipc/scoreboard.h"

namespace pronghorn {

// All texts are visible ASCII without blanks: other bytes are written as %XX, long texts are truncated. Entries are
// compared by id; the rest is only displayed.
struct QuarantinedRequest {
  static constexpr std::size_t kIdSize = 16;     // hex digits of a digest of the three untruncated texts
  static constexpr std::size_t kMaxMethod = 16;  // bytes
  static constexpr std::size_t kMaxRoute = 64;
  static constexpr std::size_t kMaxShape = 96;
  static constexpr std::string_view kEveryShape = "*";  // the shape of an entry that is about all requests of a route

  [[nodiscard]] static bool is_id(std::string_view text) noexcept;

  std::string id;
  std::string method;
  std::string route;  // "/users/{id}"; "-": none
  std::string shape;  // "/users/N"
};

// "ID METHOD ROUTE SHAPE" and back. Nothing for a text that to_text() cannot have written.
[[nodiscard]] std::string to_text(const QuarantinedRequest& request);
[[nodiscard]] std::optional<QuarantinedRequest> parse_quarantined_request(std::string_view text);

// An entry of Redis, as a worker reports it to the supervisor.
struct QuarantineNotice {
  QuarantinedRequest request;
  std::uint64_t since_at = 0;  // seconds since 1970
  std::uint32_t kills = 0;
};
// "SINCE KILLS ID METHOD ROUTE SHAPE" and back.
[[nodiscard]] std::string to_text(const QuarantineNotice& notice);
[[nodiscard]] std::optional<QuarantineNotice> parse_quarantine_notice(std::string_view text);

// One row of the table.
struct QuarantineEntry {
  QuarantinedRequest request;
  std::size_t row = 0;
  std::uint64_t since_at = 0;  // seconds since 1970
  std::uint64_t left_ms = 0;   // until it expires; at least 1
  std::uint32_t kills = 0;
  bool shared = false;  // Redis has it too
  std::uint64_t refused = 0;
};
// Any process. Skips entries that have expired or are being written.
[[nodiscard]] std::vector<QuarantineEntry> quarantine_entries(const QuarantineTable& table, std::uint64_t now_ms);

}  // namespace pronghorn
