#include "supervisor/workers/exit_explainer.h"

#include <fmt/format.h>

#include <iterator>

#include "common/log.h"
#include "supervisor/crash/exit_facts.h"
#include "supervisor/system/exit_status.h"

namespace pronghorn::supervisor {
namespace {

// "restarting slot 1 in 400 ms: 3 exits in 12 s"
std::string restart_text(const Slots::Exit& exit) {
  const std::uint32_t slot = exit.worker.slot;
  const std::string what = is_worker_slot(slot) ? fmt::format("slot {}", slot) : "it";
  if (exit.delay.count() == 0) return fmt::format("restarting {} now", what);
  const auto within = static_cast<double>(monotonic_ms() - exit.series.began_ms) / 1e3;
  return fmt::format("restarting {} in {} ms: {} exit{} in {:.3g} s", what, exit.delay.count(), exit.series.exits,
                     exit.series.exits == 1 ? "" : "s", within);
}

}  // namespace

CrashReporter::Written ExitExplainer::write_report(const Ended& ended) {
  if (reporter_ == nullptr) return {};
  const WorkerEntry& worker = ended.exit.worker;
  return reporter_->write({.worker = worker,
                           .row = board_.worker(worker.slot, worker.row),
                           .how = ended.how,
                           .reason = ended.cause,
                           .killed_by_us = worker.state == WorkerState::dying ||
                                           (worker.state == WorkerState::draining && worker.kill_at_ms == 0),
                           .config = ended.config,
                           .app = ended.app});
}

CrashReporter::Written ExitExplainer::explain(const Ended& ended, bool quietly) {
  const Slots::Exit& exit = ended.exit;
  const WorkerEntry& worker = exit.worker;
  const auto uptime = static_cast<double>(monotonic_ms() - worker.started_ms) / 1e3;
  const std::string name = process_name(worker.slot);
  if (!exit.counts && ended.how.signal == 0 && ended.how.status == 0) {
    log_info(name + " has stopped",
             {slot_field(worker.slot), {"pid", worker.pid}, {"uptime_s", fmt::format("{:.1f}", uptime), false}});
    return {};
  }
  const WorkerRow& row = board_.worker(worker.slot, worker.row);
  const std::string request = running_request(row, worker.pid);
  const bool known = row.pid.load() == static_cast<std::uint32_t>(worker.pid);
  const std::uint64_t in_flight = known ? row[Count::in_flight].load() : 0;
  CrashReporter::Written report;
  const bool said_why = ended.how.signal == 0 && ended.how.status == kExitApplication && worker.ready_ms == 0;
  // A deadline that still stands: we have not killed the draining worker.
  const bool fell = worker.state == WorkerState::draining && ended.how.signal != 0 && worker.kill_at_ms != 0;
  const bool unasked = exit.counts || fell || worker.state == WorkerState::dying;
  if (unasked && !quietly && !said_why) report = write_report(ended);
  const std::string reason = report.verdict.empty() ? ended.cause : ended.cause + ": " + report.verdict;
  if (worker.slot != kAdminSlot) record_exit(board_.slot(worker.slot), reason, request, report.name);
  std::string doing = !request.empty()       ? "while executing " + request
                      : worker.ready_ms == 0 ? "while starting"
                      : in_flight == 0       ? "while idle"
                                             : "while waiting";
  if (in_flight > (request.empty() ? 0 : 1)) doing += " with " + counted(in_flight, "request") + " in flight";
  std::string line = fmt::format("{} (pid {}) ended after {:.1f} s {}: {}", name, worker.pid, uptime, doing, reason);
  if (exit.replaced) {
    if (worker.slot != kAdminSlot) add(board_.slot(worker.slot)[Count::restarts]);
    line += "; " + restart_text(exit);
  }
  const LogField fields[] = {slot_field(worker.slot), {"pid", worker.pid},
                             {"reason", reason},      {"uptime_s", fmt::format("{:.1f}", uptime), false},
                             {"request", request},    {"report", report.path}};
  const LogLevel level = quietly ? LogLevel::debug : unasked ? LogLevel::error : LogLevel::warning;
  write_log(level, line, fields, std::size(fields) - (report.path.empty() ? 1 : 0));
  return report;
}

}  // namespace pronghorn::supervisor
