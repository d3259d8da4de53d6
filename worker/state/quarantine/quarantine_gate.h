// Requests that killed workers: which are the same, and their refusal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/ipc/quarantine_table.h"
#include "common/ipc/scoreboard.h"
#include "pronghorn/response.h"

namespace pronghorn::worker {

// Two requests are the same for the quarantine when their method, the pattern of their route (empty: none) and the
// shape of their path (path_shape()) are. `path` is what the journal of running requests can hold: kMaxRunningPath.
[[nodiscard]] QuarantinedRequest identify(std::string_view method, std::string_view route, std::string_view path);

// The look at the table before a handler runs. While nothing is quarantined, active() is all of it.
//
// Context:   loop thread; one per worker.
// Ownership: the table and the row outlive it.
class QuarantineGate {
 public:
  QuarantineGate(QuarantineTable& table, WorkerRow& row) : table_(table), row_(row) {}

  [[nodiscard]] bool active() const noexcept { return table_.count.load(std::memory_order_relaxed) != 0; }
  // What a quarantined request gets, counted: 503 with Retry-After. Empty for any other. Arguments as of identify().
  [[nodiscard]] std::optional<Response> refusal(std::string_view method, std::string_view route, std::string_view path);

 private:
  void refresh();

  QuarantineTable& table_;
  WorkerRow& row_;
  std::vector<QuarantineEntry> entries_;
  std::uint32_t version_ = 0;  // of the table when entries_ was read
  bool read_ = false;
};

}  // namespace pronghorn::worker
