#include "supervisor/crash/report_json.h"

#include <fmt/format.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <span>

#include "common/log_format.h"
#include "common/version.h"
#include "supervisor/crash/exit_facts.h"

namespace pronghorn::supervisor {
namespace {

using nlohmann::json;

struct CodeName {
  int signal;
  int code;
  const char* text;
};

constexpr std::array kCodes{
    CodeName{SIGSEGV, SEGV_MAPERR, "address not mapped"},
    CodeName{SIGSEGV, SEGV_ACCERR, "no permission for the address"},
    CodeName{SIGBUS, BUS_ADRALN, "misaligned address"},
    CodeName{SIGBUS, BUS_ADRERR, "no such physical address, or a mapped file that was truncated"},
    CodeName{SIGBUS, BUS_OBJERR, "hardware error"},
    CodeName{SIGFPE, FPE_INTDIV, "integer division by zero"},
    CodeName{SIGFPE, FPE_INTOVF, "integer overflow"},
    CodeName{SIGFPE, FPE_FLTDIV, "floating-point division by zero"},
    CodeName{SIGFPE, FPE_FLTINV, "invalid floating-point operation"},
    CodeName{SIGILL, ILL_ILLOPC, "illegal instruction"},
    CodeName{SIGILL, ILL_ILLOPN, "illegal operand"},
    CodeName{SIGILL, ILL_PRVOPC, "privileged instruction"},
    CodeName{SIGTRAP, TRAP_BRKPT, "breakpoint"},
    CodeName{SIGSYS, 1, "system call forbidden by a seccomp filter"} /* SYS_SECCOMP, which glibc does not define */,
};

double ms_since(std::uint64_t started_ns, std::uint64_t now_ms) noexcept {
  const double started_ms = static_cast<double>(started_ns) / 1e6;
  return std::max(0.0, static_cast<double>(now_ms) - started_ms);
}

json request_json(const std::string& line, const RequestId& id, std::uint64_t started_ns, std::uint64_t now_ms) {
  return {{"line", line},
          {"id", id.number == 0 ? "" : to_string(id)},
          {"for_ms", static_cast<std::uint64_t>(ms_since(started_ns, now_ms))}};
}

json signal_json(const ChildExit& exit, const CrashRecord* crash) {
  if (exit.signal == 0) return nullptr;
  const char* name = ::sigabbrev_np(exit.signal);
  json signal{{"number", exit.signal}, {"name", name == nullptr ? "" : std::string("SIG") + name}};
  if (crash == nullptr) return signal;
  const auto number = static_cast<int>(crash->signal.load());
  const bool fault = crash->code > 0;
  signal["code"] = crash->code;
  signal["meaning"] = describe_signal_code(number, crash->code);
  signal["address"] = fault ? json(fmt::format("{:#x}", crash->address)) : json(nullptr);
  signal["sender_pid"] = fault ? json(nullptr) : json(crash->sender);
  return signal;
}

json lost_request_json(const LostRequest& lost, std::uint64_t now_ms) {
  json request = request_json(text_of(lost.line), lost.id, lost.started_ns, now_ms);
  request["response_begun"] = lost.responded != 0;
  return request;
}

json lost_requests_json(const EndedWorker& ended, bool has_running) {
  json list = json::array();
  const CrashRecord& crash = ended.row.crash;
  const auto count = std::min<std::size_t>(crash.requests_count.load(), kMaxReportedRequests);
  const RequestId& running = ended.row.running.id;
  for (std::size_t i = 0; i < count; ++i) {
    const LostRequest& lost = crash.requests[i];
    if (has_running && lost.id.number == running.number && lost.id.worker == running.worker) continue;
    list.push_back(lost_request_json(lost, ended.now_ms));
  }
  return list;
}

template <class Value>
json optional_json(const std::optional<Value>& value) {
  return value ? json(*value) : json(nullptr);
}

json memory_json(const EndedWorker& ended) {
  const MemoryState& memory = ended.memory;
  return {{"rss_bytes", ended.rss_bytes},
          {"cgroup", memory.cgroup},
          {"current_bytes", optional_json(memory.current_bytes)},
          {"limit_bytes", optional_json(memory.limit_bytes)},
          {"oom_kills_before", ended.oom_before},
          {"oom_kills", optional_json(memory.oom_kills)},
          {"verdict", ended.verdict}};
}

}  // namespace

std::string describe_signal_code(int signal, int code) {
  if (code == SI_USER) return "sent by a process";
  if (code == SI_TKILL) return "raised by a thread, such as by abort()";
  if (code == SI_QUEUE) return "queued by a process";
  if (code == SI_KERNEL) return "by the kernel, such as for a non-canonical address";
  const auto found = std::find_if(kCodes.begin(), kCodes.end(), [signal, code](const CodeName& each) {
    return each.signal == signal && each.code == code;
  });
  return found == kCodes.end() ? fmt::format("code {}", code) : found->text;
}

std::string report_name(long long at, std::uint32_t slot, int pid) {
  std::string time = rfc3339(at);
  std::erase_if(time, [](char c) { return c == '-' || c == ':'; });
  return fmt::format("crash-{}-{}-{}.json", time, slot_name(slot), pid);
}

json requests_found(const GuardianRow& found, int pid, std::uint64_t running_ns, std::uint64_t ended_ms) {
  json list = json::array();
  if (found.requests_of.load(std::memory_order_acquire) != static_cast<std::uint32_t>(pid)) return list;
  const auto count = std::min<std::size_t>(found.requests_count.load(), kMaxReportedRequests);
  for (const LostRequest& lost : std::span(found.requests).first(count)) {
    if (running_ns == 0 || lost.started_ns != running_ns) list.push_back(lost_request_json(lost, ended_ms));
  }
  return list;
}

json crash_report(const EndedWorker& ended) {
  const WorkerEntry& worker = ended.worker;
  const WorkerRow& row = ended.row;
  const bool known = row.pid.load() == static_cast<std::uint32_t>(worker.pid);
  const bool crashed = known && row.crash.signal.load() != 0;
  const bool running = known && row.running.active.load() != 0;
  json report{{"version", kVersion},
              {"time", rfc3339(ended.at)},
              {"slot", is_worker_slot(worker.slot) ? json(worker.slot) : json(slot_name(worker.slot))},
              {"pid", worker.pid},
              {"generation", worker.generation},
              {"app", ended.app},
              {"reason", ended.reason},
              {"exit_status", ended.exit.signal == 0 ? json(ended.exit.status) : json(nullptr)},
              {"signal", signal_json(ended.exit, crashed ? &row.crash : nullptr)},
              {"uptime_s", static_cast<double>(ended.now_ms - worker.started_ms) / 1e3},
              {"requests", known ? row[Count::requests].load() - row.requests_before.load() : 0},
              {"connections", known ? row[Count::connections].load() : 0},
              {"in_flight", known ? row[Count::in_flight].load() : 0}};
  report["thread"] = !crashed                                                     ? json(nullptr)
                     : row.crash.thread == static_cast<std::uint32_t>(worker.pid) ? json("loop")
                                                                                  : json("other");
  report["request"] =
      running ? request_json(line_of(row.running), row.running.id, row.running.started_ns.load(), ended.now_ms)
              : json(nullptr);
  if (running) {
    report["request"]["request_id"] = text_of(row.running.client_id);  // of a proxy; empty: the id is our own
    report["request"]["trace_id"] = text_of(row.running.trace_id);
  }
  report["other_requests"] = crashed ? lost_requests_json(ended, running) : json::array();
  report["memory"] = memory_json(ended);
  report["backtrace"] = json::array();
  report["log"] = known ? json(row.log.lines()) : json::array();
  return report;
}

}  // namespace pronghorn::supervisor
