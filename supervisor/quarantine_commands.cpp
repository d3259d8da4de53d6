// The quarantine in the supervisor: what goes between Quarantine, the workers and `pronghorn quarantine`.
//
// What needs the application's routes or Redis is done by a worker, whichever is ready.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/ipc/status.h"
#include "supervisor/supervisor_process.h"

namespace pronghorn::supervisor {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxWaiting = 64;  // messages; more kills than that before a worker is ready say nothing new

std::string dump(const json& answer) { return answer.dump(-1, ' ', false, json::error_handler_t::replace); }

constexpr std::uint64_t kLongestMs = 366ULL * 24 * 3'600'000;  // options end before

bool is_id(const std::string& text) {
  return text.size() == QuarantinedRequest::kIdSize && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

void SupervisorProcess::request_killed(const std::string& request) { tell_a_worker({MessageKind::killed, 0, request}); }

void SupervisorProcess::quarantine_message(const Message& message) {
  const std::uint64_t now = monotonic_ms();
  const Milliseconds time(static_cast<Milliseconds::rep>(std::min(message.number, kLongestMs)));
  if (message.kind == MessageKind::quarantine_ended) return quarantine_.ended(message.text, now);
  if (message.kind == MessageKind::kill_identified) {
    if (const auto request = parse_quarantined_request(message.text)) quarantine_.killed(*request, time, now);
  } else if (const auto notice = parse_quarantine_notice(message.text)) {
    quarantine_.learned(*notice, time, now);
  }
}

// `released`: an id, "all", or nothing: then what is quarantined is listed.
std::string SupervisorProcess::quarantine_command(const std::string& released) {
  if (released.empty()) {
    return dump({{"ok", true}, {"quarantine", status_json(ground_.board).at("quarantine")}});
  }
  if (released != "all" && !is_id(released)) {
    return dump({{"ok", false},
                 {"error", fmt::format("quarantine release: \"{}\" is not an id; use one that \"quarantine\" lists, or "
                                       "all",
                                       released)}});
  }
  const std::size_t number = quarantine_.release(released, monotonic_ms());
  if (number == 0 && released != "all") {
    return dump({{"ok", false}, {"error", fmt::format("nothing is quarantined as {}", released)}});
  }
  tell_a_worker({MessageKind::release_quarantine, 0, released});
  return dump({{"ok", true}, {"released", number}, {"message", fmt::format("{} released", number)}});
}

void SupervisorProcess::tell_a_worker(Message message) {
  if (for_a_worker_.size() >= kMaxWaiting) return;
  for_a_worker_.push_back(std::move(message));
  tell_waiting();
}

// What no worker takes now waits for the next that becomes ready.
void SupervisorProcess::tell_waiting() {
  std::vector<Message> left;
  for (Message& message : std::exchange(for_a_worker_, {})) {
    bool sent = false;
    for (std::uint32_t slot = 0; slot < workers_.slots().target() && !sent; ++slot) {
      const WorkerEntry* worker = workers_.slots().ready_worker(slot);
      sent = worker != nullptr && workers_.send(worker->pid, message);
    }
    if (!sent) left.push_back(std::move(message));
  }
  for_a_worker_ = std::move(left);
}

}  // namespace pronghorn::supervisor
