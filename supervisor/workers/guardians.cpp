#include "supervisor/workers/guardians.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "supervisor/crash/exit_facts.h"

namespace pronghorn::supervisor {
namespace {

std::string how_it_ended(const ChildExit& how) {
  return how.signal == SIGKILL ? "was killed" : "ended with " + describe(how);
}

// What a worker says is not believed: its memory may be corrupt.
bool is_our_child(int pid) noexcept {
  siginfo_t info{};
  return pid > 0 && ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

}  // namespace

void Guardians::started(const WorkerEntry& worker, int guardian) {
  if (guardians_.contains(worker.pid) || children_.contains(guardian) || !is_our_child(guardian)) return;
  guardians_[worker.pid] = {.pid = guardian, .slot = worker.slot, .row = worker.row, .end = std::string()};
  children_.adopt(guardian, [this, pid = worker.pid](const ChildExit&) { ended(pid); });
}

void Guardians::missing(const std::string& reason) {
  if (!reasons_.insert(reason).second) return;
  log_warning(fmt::format("connections will not survive the death of their worker: {}", reason));
}

void Guardians::worker_ended(const WorkerEntry& worker, const ChildExit& how, std::uint64_t in_flight,
                             Finished finished) {
  const GuardianRow& row = board_.worker(worker.slot, worker.row).guardian;
  if (row.worker.load() == static_cast<std::uint32_t>(worker.pid)) started(worker, static_cast<int>(row.pid.load()));
  const auto found = guardians_.find(worker.pid);
  if (found == guardians_.end()) return add(board_.slot(worker.slot)[Count::lost_worker_died], in_flight);
  found->second.end = how_it_ended(how);
  found->second.in_flight = in_flight;
  found->second.finished = std::move(finished);
  if (worker.state == WorkerState::draining && how.signal == 0 && how.status == 0) found->second.ended_alone = false;
  if (found->second.pid != 0) return children_.kill(found->second.pid, SIGCONT);  // in case a signal has stopped it
  report(found->second);
  guardians_.erase(found);
}

void Guardians::ended(int worker) {
  const auto found = guardians_.find(worker);
  if (found == guardians_.end()) return;
  Guardian& guardian = found->second;
  guardian.pid = 0;
  if (!guardian.end.empty()) {
    report(guardian);
    guardians_.erase(found);
    return;
  }
  // Both may have ended, and the guardian was reaped first.
  const char state = process_state(worker);
  if (state == 'Z' || state == '\0') return;
  guardian.ended_alone = true;
  board_.slot(guardian.slot).unguarded_pid.store(static_cast<std::uint32_t>(worker));
  log_warning(fmt::format("the guardian of {} has ended: connections of this worker will not survive its death",
                          process_name(guardian.slot)),
              {slot_field(guardian.slot), {"pid", worker}});
}

void Guardians::report(const Guardian& guardian) {
  GuardianRow& row = board_.worker(guardian.slot, guardian.row).guardian;
  if (guardian.finished && !guardian.ended_alone) guardian.finished(row);
  const std::uint64_t handed_over = row.handed_over.exchange(0);
  const std::uint64_t closed = row.lost.exchange(0);
  const std::uint64_t run_again = row.run_again.exchange(0);
  const std::uint64_t refused = row.refused.exchange(0);
  const std::uint64_t crashed = row.crashed.exchange(0);
  const std::uint64_t finished = row.finished.exchange(0);
  const std::uint64_t cut = row.cut.exchange(0);
  const std::uint64_t sockets = row.sockets.exchange(0);
  const std::uint64_t messages_again = row.messages_again.exchange(0);
  const std::uint64_t sockets_refused = row.sockets_refused.exchange(0);
  // Requests on connections that the ledger had no room for are known by their number only.
  const std::uint64_t seen = run_again + refused + crashed + finished + cut;
  SlotRow& slot = board_.slot(guardian.slot);
  add(slot[Count::handed_over_death], handed_over);
  add(slot[Count::lost_worker_died], cut + (guardian.in_flight > seen ? guardian.in_flight - seen : 0));
  if (guardian.ended_alone) {
    constexpr const char* kWhat = "its connections ended with it: its guardian had ended before";
    slot.last_exit_connections.set(kWhat);
    log_warning(fmt::format("{} {}: {}", process_name(guardian.slot), guardian.end, kWhat),
                {slot_field(guardian.slot)});
  }
  if (handed_over == 0 && closed == 0) return;
  std::string line = fmt::format("{} handed over", counted(handed_over, "connection"));
  if (sockets != 0) line += fmt::format(" ({})", counted(sockets, "WebSocket"));
  if (finished != 0) line += fmt::format(", {} finished", counted(finished, "response"));
  if (run_again != 0) line += fmt::format(", {} run again", counted(run_again, "request"));
  if (refused != 0) line += fmt::format(", {} answered 503", refused);
  if (crashed != 0) line += fmt::format(", {} answered 500", crashed);
  if (messages_again != 0) line += fmt::format(", {} handled again", counted(messages_again, "message"));
  if (sockets_refused != 0) line += fmt::format(", {} to be closed", counted(sockets_refused, "WebSocket"));
  if (closed != 0) line += fmt::format(", {} closed", closed);
  slot.last_exit_connections.set(line);
  log_info(fmt::format("{} {}: {}", process_name(guardian.slot), guardian.end, line), {slot_field(guardian.slot)});
}

void Guardians::kill_all() noexcept {
  for (const auto& [worker, guardian] : guardians_) {
    if (guardian.pid != 0) children_.kill(guardian.pid, SIGKILL);
  }
}

bool Guardians::at_work() const noexcept {
  return std::ranges::any_of(guardians_, [](const auto& each) { return !each.second.end.empty(); });
}

int Guardians::of(int worker) const noexcept {
  const auto found = guardians_.find(worker);
  return found == guardians_.end() ? 0 : found->second.pid;
}

std::size_t Guardians::count() const noexcept {
  return static_cast<std::size_t>(
      std::ranges::count_if(guardians_, [](const auto& each) { return each.second.pid != 0; }));
}

}  // namespace pronghorn::supervisor
