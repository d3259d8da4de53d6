#include "supervisor/crash/crash_reporter.h"

#include <fmt/format.h>
#include <signal.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/log.h"
#include "common/text/json_text.h"
#include "supervisor/crash/crash_directory.h"
#include "supervisor/crash/exit_facts.h"
#include "supervisor/crash/report_json.h"

namespace pronghorn::supervisor {
namespace {

std::string dump(const nlohmann::json& report) { return dump_json(report, 2) + '\n'; }

void save_again(const std::string& data_dir, const CrashReporter::Written& written, const nlohmann::json& report,
                const char* still) {
  if (const auto saved = save_report(data_dir, written.name, dump(report)); !saved) {
    log_warning(fmt::format("cannot write the crash report: it {}", still),
                {{"file", written.path}, {"reason", saved.error()}});
  }
}

// Only requests that the worker did not list itself are added later, to a report that is complete otherwise.
std::function<void(const GuardianRow&)> adding_requests(const CrashReporter::Ended& end,
                                                        const CrashReporter::Written& written, nlohmann::json report,
                                                        std::uint64_t ended_ms) {
  const std::uint64_t running_ns = end.row.running.active.load() != 0 ? end.row.running.started_ns.load() : 0;
  return [report = std::move(report), written, running_ns, ended_ms, pid = end.worker.pid,
          data_dir = end.config.data_dir](const GuardianRow& found) {
    nlohmann::json requests = requests_found(found, pid, running_ns, ended_ms);
    if (requests.empty()) return;
    nlohmann::json whole = report;
    whole["other_requests"] = std::move(requests);
    save_again(data_dir, written, whole, "lacks the requests in flight");
  };
}

// A JSON log gets one event; a text log gets a line for each frame.
void log_backtrace(const std::string& who, int pid, const std::string& report, const std::vector<Frame>& frames,
                   bool lines) {
  std::string all;
  const std::vector<Frame> telling = telling_frames(frames);
  for (std::size_t i = 0; i < telling.size(); ++i) {
    if (i > 0) all += '\n';
    all += fmt::format("#{} {}", i, describe(telling[i]));
  }
  const std::string message = fmt::format("{} (pid {}) ended in {}", who, pid, describe_top(frames));
  if (!lines) return log_error(message, {{"pid", pid}, {"report", report}, {"backtrace", all}});
  log_error(message, {{"report", report}});
  for (std::size_t i = 0; i < telling.size(); ++i) log_error(fmt::format("  #{} {}", i, describe(telling[i])));
}

}  // namespace

CrashReporter::Written CrashReporter::write(const Ended& end) {
  EndedWorker ended{.worker = end.worker,
                    .row = end.row,
                    .exit = end.how,
                    .reason = end.reason,
                    .app = end.config.app,
                    .rss_bytes = end.how.peak_rss_bytes,
                    .now_ms = monotonic_ms(),
                    .at = std::time(nullptr),
                    .oom_before = verdicts_.baseline(),
                    .memory = read_memory_state(),
                    .verdict = {}};
  verdicts_.sample(ended.now_ms, ended.memory.oom_kills);
  if (end.how.signal == SIGKILL && !end.killed_by_us && verdicts_.explains()) {
    ended.verdict = describe_oom(ended.memory);
    ended.reason += ": " + ended.verdict;
  }

  nlohmann::json report = crash_report(ended);
  std::vector<Frame> frames;
  const bool crashed =
      end.row.pid.load() == static_cast<std::uint32_t>(end.worker.pid) && end.row.crash.signal.load() != 0;
  if (crashed) {
    frames = frames_of(end.row.crash.stack, end.row.modules);
  }
  report["backtrace"] = to_json(frames);
  report["names"] = frames.empty() ? "none" : "pending";
  Written written{report_name(ended.at, end.worker.slot, end.worker.pid), {}, ended.verdict};
  written.path = crash_directory(end.config.data_dir) + '/' + written.name;
  if (const auto saved = save_report(end.config.data_dir, written.name, dump(report)); !saved) {
    log_warning("cannot write the crash report", {{"file", written.path}, {"reason", saved.error()}});
    written.name.clear();
    written.path.clear();
  }
  if (frames.empty()) {
    if (!crashed && !written.name.empty()) written.add_requests = adding_requests(end, written, report, ended.now_ms);
    return written;
  }
  symbolizer_.ask(std::move(frames),
                  [report = std::move(report), written, app = end.app, who = process_name(end.worker.slot),
                   pid = end.worker.pid, data_dir = end.config.data_dir,
                   lines = end.config.log_format != "json"](const std::vector<Frame>& named) mutable {
                    log_backtrace(who, pid, written.path, named, lines);
                    if (written.name.empty()) return;
                    report["backtrace"] = to_json(named);
                    report["names"] = top_function(named).empty() ? "unknown" : "found";
                    save_again(data_dir, written, report, "keeps bare addresses");
                  });
  return written;
}

}  // namespace pronghorn::supervisor
