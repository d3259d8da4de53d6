#include "common/ipc/status/degradations.h"

#include <algorithm>
#include <cstdint>
#include <ctime>

#include "common/ipc/status/fleet.h"
#include "common/text/time_left.h"

namespace pronghorn {
namespace {

double stuck_seconds_of(const Scoreboard& board, std::uint32_t index, std::uint64_t now) {
  const SlotRow& slot = board.slot(index);
  return slot.pid.load() == 0 ? 0 : stuck_seconds(board.worker(index, slot.row.load() % kRowsPerSlot), now);
}

std::string whole_seconds(double seconds) { return std::to_string(static_cast<std::uint64_t>(seconds)) + " s"; }

void add_degraded_workers(const Scoreboard& board, std::uint64_t now, std::vector<std::string>& reasons) {
  for (std::uint32_t index = 0; index < std::min(board.server().slots.load(), kMaxWorkers); ++index) {
    const SlotRow& slot = board.slot(index);
    const SlotState state = slot.state.load();
    const bool restarting = state == SlotState::starting && slot.last_exit_at.load() != 0 && slot.old_pid.load() == 0;
    if (restarting || state == SlotState::backoff || state == SlotState::stopped) {
      reasons.push_back("slot " + std::to_string(index) + " has no worker: " + to_string(state));
      continue;
    }
    if (slot.pid.load() != 0 && slot.pid.load() == slot.unguarded_pid.load()) {
      reasons.push_back("the guardian of worker " + std::to_string(index) +
                        " has ended: the worker is replaced, because its connections would end with it");
    }
    if (const double stuck = stuck_seconds_of(board, index, now); stuck > 0) {
      reasons.push_back("the worker in slot " + std::to_string(index) + " is stuck for " + whole_seconds(stuck));
    }
  }
}

void add_expiring_certificates(const ServerRow& server, std::vector<std::string>& reasons) {
  const auto now = static_cast<std::int64_t>(std::time(nullptr));
  for (std::size_t i = 0; i < std::min<std::size_t>(server.certificates.load(), kMaxCertificateRows); ++i) {
    const CertificateRow& row = server.certificate_rows[i];
    if (now < static_cast<std::int64_t>(row.renew_by.load())) continue;
    const std::int64_t left = static_cast<std::int64_t>(row.not_after.load()) - now;
    reasons.push_back("the certificate " + row.file.get() +
                      (left <= 0 ? " has expired: clients refuse it" : " expires in " + time_left_text(left)));
  }
}

void add_degraded_job_workers(const Scoreboard& board, std::uint64_t now, std::vector<std::string>& reasons) {
  for (std::uint32_t index = kFirstJobSlot; index < kMaxSlots; ++index) {
    const SlotRow& slot = board.slot(index);
    const std::string name = "job worker " + std::to_string(index - kFirstJobSlot);
    const bool missing = slot.pid.load() == 0 && slot.last_exit_at.load() != 0;
    if (missing) reasons.push_back(name + " does not run: " + to_string(slot.state.load()));
    if (const double stuck = stuck_seconds_of(board, index, now); stuck > 0) {
      reasons.push_back(name + " is stuck for " + whole_seconds(stuck));
    }
  }
}

void add_degraded_distributor(const Scoreboard& board, std::uint64_t now, std::vector<std::string>& reasons) {
  if (!has_distributor(board)) return;
  if (board.slot(kDistributorSlot).pid.load() == 0) {
    reasons.emplace_back("no distributor runs: connections wait in the accept queue");
  } else if (stuck_seconds_of(board, kDistributorSlot, now) > 0) {
    reasons.emplace_back("the distributor is stuck: connections wait in the accept queue");
  }
}

}  // namespace

std::vector<std::string> degradations(const Scoreboard& board) {
  std::vector<std::string> reasons;
  const bool draining = board.server().draining.load() != 0;
  if (draining) reasons.emplace_back("the server is draining");
  const std::uint64_t now = monotonic_ms();
  add_degraded_workers(board, now, reasons);
  add_expiring_certificates(board.server(), reasons);
  if (!draining) {
    add_degraded_job_workers(board, now, reasons);
    add_degraded_distributor(board, now, reasons);
  }
  if (board.server().redis_mode.get() == "none") return reasons;
  const FleetRedis redis = fleet_redis(board);
  if (redis.state == RedisState::down) {
    reasons.push_back("Redis is down" + (redis.error.empty() ? "" : ": " + redis.error));
  }
  return reasons;
}

}  // namespace pronghorn
