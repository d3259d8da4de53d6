// Identifies requests that killed workers, and refuses them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/ipc/quarantine_table.h"
#include "common/ipc/scoreboard.h"
#include "pronghorn/error.h"

namespace pronghorn::worker {

// For the quarantine two requests are the same if their method, the pattern of their route (empty: no route) and the
// shape of their path (path_shape()) are equal. `path` must be truncated to kMaxRunningPath, because that is how the
// scoreboard records running requests.
[[nodiscard]] QuarantinedRequest identify(std::string_view method, std::string_view route, std::string_view path);

// All requests of a route, whatever the shape of their path; `route` is not empty.
[[nodiscard]] QuarantinedRequest identify_route(std::string_view method, std::string_view route);

// Checks each request against the quarantine table before its handler runs. While nothing is quarantined, the only cost
// is active().
//
// Context:   loop thread; one per worker.
// Ownership: must not outlive the table or the row.
class QuarantineGate {
 public:
  QuarantineGate(QuarantineTable& table, WorkerRow& row) : table_(table), row_(row) {}

  [[nodiscard]] bool active() const noexcept { return table_.count.load(std::memory_order_relaxed) != 0; }
  struct Refusal {
    ErrorAnswer answer;  // 503 with Retry-After
    // The request may have killed workers in the error hook or in after middleware: neither must run.
    bool without_application = false;
  };
  // The response to a quarantined request, which is also counted; nullopt for other requests. The arguments are those
  // of identify().
  [[nodiscard]] std::optional<Refusal> refusal(std::string_view method, std::string_view route, std::string_view path);

 private:
  void refresh();

  QuarantineTable& table_;
  WorkerRow& row_;
  std::vector<QuarantineEntry> entries_;
  std::uint32_t version_ = 0;  // of the table, when entries_ was read
  bool read_ = false;
};

}  // namespace pronghorn::worker
