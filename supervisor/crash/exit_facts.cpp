#include "supervisor/crash/exit_facts.h"

#include <cstring>
#include <ctime>

#include "supervisor/launch/worker_entry.h"

namespace pronghorn::supervisor {
std::string counted(std::uint64_t number, const char* what) {
  return std::to_string(number) + ' ' + what + (number == 1 ? "" : "s");
}

std::string process_name(std::uint32_t slot) {
  if (slot == kDistributorSlot) return "the distributor";
  if (is_job_slot(slot)) return "job worker " + std::to_string(slot - kFirstJobSlot);
  return slot == kAdminSlot ? "the admin process" : "worker " + std::to_string(slot);
}

std::string slot_name(std::uint32_t slot) {
  if (slot == kDistributorSlot) return "distributor";
  if (is_job_slot(slot)) return "jobs" + std::to_string(slot - kFirstJobSlot);
  return slot == kAdminSlot ? "admin" : std::to_string(slot);
}

LogField slot_field(std::uint32_t slot) { return {"slot", slot_name(slot), !is_worker_slot(slot)}; }

std::string running_request(const WorkerRow& row, int pid) {
  if (row.pid.load() != static_cast<std::uint32_t>(pid) || row.running.active.load() == 0) return {};
  return line_of(row.running) + " id=" + id_of(row.running);
}

void record_exit(SlotRow& slot, const std::string& reason, const std::string& request,
                 const std::string& report) noexcept {
  slot.last_exit_reason.set(reason);
  slot.last_exit_request.set(request);
  slot.last_exit_report.set(report);
  slot.last_exit_connections.set("");  // Guardians say what became of them
  slot.last_exit_at.store(static_cast<std::uint64_t>(std::time(nullptr)));
}

void release_row(WorkerRow& row, int pid) noexcept {
  if (row.pid.load() != static_cast<std::uint32_t>(pid)) return;
  row.phase.store(WorkerPhase::none);
  clear_gauges(row);
  row.redis_state.store(RedisState::off);
  row.running.active.store(0);
  row.pid.store(0);
}

}  // namespace pronghorn::supervisor
