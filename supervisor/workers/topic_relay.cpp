#include "supervisor/workers/topic_relay.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <string>
#include <system_error>
#include <utility>

#include "common/fd.h"
#include "common/log.h"
#include "supervisor/crash/exit_facts.h"
#include "supervisor/workers/leaving_workers.h"

namespace pronghorn::supervisor {
namespace {

bool runs_application(const WorkerEntry& worker) noexcept {
  return is_worker_slot(worker.slot) || is_job_slot(worker.slot);
}

std::uint64_t earliest(std::uint64_t one, std::uint64_t other) noexcept {
  return one == 0 || other == 0 ? one + other : std::min(one, other);
}

}  // namespace

TopicRelay::TopicRelay(Workers& workers, Scoreboard& board)
    : workers_(workers), board_(board), relay_(static_cast<int>(board.server().relay_pid.load())) {}

std::uint64_t TopicRelay::advance() {
  const std::uint64_t now = monotonic_ms();
  std::uint64_t next = 0;
  replace(now, next);
  const WorkerEntry* const relay = workers_.slots().find(relay_);
  const bool is_there = relay != nullptr && relay->state != WorkerState::dying;  // else nobody can take its place now
  std::map<int, Link> links;
  for (const WorkerEntry& worker : workers_.slots().workers()) {
    if (relay_ == 0 || !runs_application(worker) || worker.state == WorkerState::dying) continue;
    const auto found = links_.find(worker.pid);
    Link entry = found != links_.end() ? found->second : Link{.again_ms = now, .before = kRelayWorks};
    if (is_there && entry.again_ms != 0 && entry.again_ms <= now) {
      entry.again_ms = link(worker.pid, entry.before) ? 0 : now + kAgainMs;
    }
    if (is_there) next = earliest(next, entry.again_ms);
    links.emplace(worker.pid, entry);
  }
  links_ = std::move(links);
  return next;
}

// ---- who is the relay

void TopicRelay::replace(std::uint64_t now, std::uint64_t& next) {
  const Standing standing = this->standing(now, next);
  if (standing == Standing::works) return;
  const WorkerEntry* const candidate = find_candidate();
  if (candidate == nullptr) {
    if (standing == Standing::gone) board_.server().relay_pid.store(0);
    return;
  }
  // While all of them boot, the first one stays.
  if (standing == Standing::boots && candidate->state == WorkerState::starting) return;
  const bool was_there = relay_ != 0;
  if (standing == Standing::gone) return appoint(*candidate, was_there ? kRelayGone : kRelayWorks, now);
  appoint(*candidate, standing == Standing::blocked ? kRelayBlocked : kRelayWorks, now);
}

TopicRelay::Standing TopicRelay::standing(std::uint64_t now, std::uint64_t& next) {
  const WorkerEntry* const relay = workers_.slots().find(relay_);
  if (relay == nullptr || relay->state == WorkerState::dying) return Standing::gone;
  if (is_stalled(now, next)) return Standing::blocked;
  if (relay->state == WorkerState::starting) return Standing::boots;
  return leaves(*relay) ? Standing::drains : Standing::works;
}

bool TopicRelay::leaves(const WorkerEntry& worker) const noexcept {
  if (worker.leaving || (worker.state != WorkerState::ready && worker.state != WorkerState::starting)) return true;
  return says_it_drains(worker, board_);
}

bool TopicRelay::is_stalled(std::uint64_t now, std::uint64_t& next) {
  if (!workers_.stands_still(relay_)) {
    still_since_ = 0;
    return false;
  }
  if (still_since_ == 0) still_since_ = now;
  if (now >= still_since_ + kStalledMs) return true;
  next = earliest(next, still_since_ + kStalledMs);
  return false;
}

// The newest generation first: a rollout then changes the relay once. If no worker is ready, one that boots: its on_start
// hooks may wait for an event.
const WorkerEntry* TopicRelay::find_candidate() const {
  const WorkerEntry* best = nullptr;
  const auto rank = [](const WorkerEntry& worker) {
    return std::pair(worker.state == WorkerState::ready, worker.generation);
  };
  for (std::uint32_t slot = 0; slot < kMaxWorkers; ++slot) {
    const WorkerEntry* const worker = workers_.slots().current(slot);
    if (worker == nullptr || leaves(*worker) || workers_.stands_still(worker->pid)) continue;
    if (best == nullptr || rank(*worker) > rank(*best)) best = worker;
  }
  return best;
}

void TopicRelay::appoint(const WorkerEntry& worker, std::string_view before, std::uint64_t now) {
  if (before != kRelayWorks) {
    log_info(fmt::format("{} now receives the events of topics for all workers: the one that did so {}",
                         process_name(worker.slot), before == kRelayGone ? "has ended" : "is blocked"),
             {{"slot", worker.slot}, {"pid", worker.pid}, {"before", relay_}});
  }
  for (auto& [pid, link] : links_) link = {.again_ms = now, .before = before};
  still_since_ = 0;
  relay_ = worker.pid;
  board_.server().relay_pid.store(static_cast<std::uint32_t>(worker.pid));
  board_.server().relay_since_at.store(static_cast<std::uint64_t>(std::time(nullptr)));
}

// ---- links

bool TopicRelay::link(int worker, std::string_view before) {
  const std::string text(before);
  if (worker == relay_) return workers_.send(worker, {MessageKind::relay_here, 0, text});
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) {
    const std::string error = std::generic_category().message(errno);
    log_warning("cannot link a worker with the relay", {{"pid", worker}, {"error", error}});
    return false;
  }
  const Fd to_worker(fds[0]);
  const Fd to_relay(fds[1]);
  // If only the worker gets its end, it sees at once that there is no other one.
  return workers_.send(worker, {MessageKind::relay_link, static_cast<std::uint64_t>(relay_), text}, to_worker.get()) &&
         workers_.send(relay_, {MessageKind::relay_peer, static_cast<std::uint64_t>(worker), {}}, to_relay.get());
}

// Those of an earlier relay do not matter any more.
void TopicRelay::unlinked(int worker, int relay) {
  const auto found = links_.find(worker);
  if (relay != relay_ || found == links_.end()) return;
  found->second = {.again_ms = monotonic_ms() + kAgainMs, .before = kRelayGone};
}

}  // namespace pronghorn::supervisor
