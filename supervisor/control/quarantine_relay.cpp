#include "supervisor/control/quarantine_relay.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/ipc/scoreboard.h"

namespace pronghorn::supervisor {
namespace {

constexpr std::size_t kMaxWaiting = 64;  // more kills than this without a ready worker add nothing
constexpr std::uint64_t kLongestMs = 366ULL * 24 * 3'600'000;  // no configured time is longer

}  // namespace

void QuarantineRelay::killed(const std::string& request, std::uint64_t client, std::uint64_t now) {
  if (!retries_.is_retry(request, client, now)) send({MessageKind::killed, 0, request});
}

void QuarantineRelay::received(int pid, const ChannelMessage& message) {
  const std::uint64_t now = monotonic_ms();
  const Milliseconds time(static_cast<Milliseconds::rep>(std::min(message.number, kLongestMs)));
  if (message.kind == MessageKind::quarantine_ended) return list_.ended(message.text, now);
  if (message.kind == MessageKind::kill_identified) {
    const auto answered = std::ranges::find(asked_, pid, &Asked::pid);
    if (answered != asked_.end()) asked_.erase(answered);
    const std::size_t line_end = std::min(message.text.find('\n'), message.text.size());
    const auto request = parse_quarantined_request(message.text.substr(0, line_end));
    if (!request) return;
    list_.killed(*request, time, now);
    const auto route = parse_quarantined_request(message.text.substr(std::min(line_end + 1, message.text.size())));
    if (route) list_.killed_in_route(*route, request->id, time, now);
  } else if (const auto notice = parse_quarantine_notice(message.text)) {
    list_.learned(*notice, time, now);
  }
}

std::expected<std::size_t, std::string> QuarantineRelay::release(const std::string& id) {
  if (id != "all" && !QuarantinedRequest::is_id(id)) {
    return std::unexpected(
        fmt::format("quarantine release: \"{}\" is not an id; use an id that \"quarantine\" lists, or \"all\"", id));
  }
  const std::size_t released = list_.release(id, monotonic_ms());
  if (released == 0 && id != "all") return std::unexpected(fmt::format("nothing is quarantined as {}", id));
  send({MessageKind::release_quarantine, 0, id});
  return released;
}

void QuarantineRelay::send(ChannelMessage message) {
  if (waiting_.size() >= kMaxWaiting) return;
  waiting_.push_back(std::move(message));
  send_waiting();
}

void QuarantineRelay::send_waiting() {
  std::erase_if(waiting_, [this](const ChannelMessage& message) {
    for (std::uint32_t slot = 0; slot < workers_.slots().target(); ++slot) {
      const WorkerEntry* worker = workers_.slots().ready_worker(slot);
      if (worker == nullptr || !workers_.send(worker->pid, message)) continue;
      if (message.kind == MessageKind::killed && asked_.size() < kMaxWaiting) asked_.push_back({worker->pid, message});
      return true;
    }
    return false;
  });
}

void QuarantineRelay::worker_gone(int pid) {
  std::erase_if(asked_, [this, pid](Asked& asked) {
    if (asked.pid != pid) return false;
    waiting_.push_back(std::move(asked.message));
    return true;
  });
  send_waiting();
}

}  // namespace pronghorn::supervisor
