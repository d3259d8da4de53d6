#include "supervisor/load/distribution.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "common/fd.h"
#include "common/log.h"

namespace pronghorn::supervisor {

// While one is replaced, there are two.
std::vector<int> Distribution::distributors() const {
  std::vector<int> pids;
  for (const WorkerEntry& process : workers_.slots().workers()) {
    const bool works = process.state == WorkerState::ready || process.state == WorkerState::draining;
    if (process.slot == kDistributorSlot && works) pids.push_back(process.pid);
  }
  return pids;
}

std::uint64_t Distribution::advance() {
  const std::uint64_t now = monotonic_ms();
  std::uint64_t next = 0;
  std::erase_if(untold_, [this](const Pair& pair) { return tell_gone(pair); });
  std::set<Pair> wanted;
  for (const int distributor : distributors()) {
    for (std::uint32_t slot = 0; slot < workers_.slots().target(); ++slot) {
      const WorkerEntry* worker = workers_.slots().ready_worker(slot);
      if (worker == nullptr || workers_.stands_still(worker->pid)) continue;
      const Pair pair(distributor, worker->pid);
      wanted.insert(pair);
      const auto [found, is_new] = links_.try_emplace(pair, now);
      if (found->second != 0 && found->second <= now) found->second = link(distributor, *worker) ? 0 : now + kAgainMs;
      if (found->second != 0) next = next == 0 ? found->second : std::min(next, found->second);
    }
  }
  std::erase_if(links_, [&](const auto& entry) {
    const auto& [pair, again] = entry;
    if (wanted.contains(pair)) return false;
    return again != 0 ||
           workers_.send(pair.first, {MessageKind::unlink_worker, static_cast<std::uint64_t>(pair.second), {}});
  });
  return next;
}

bool Distribution::link(int distributor, const WorkerEntry& worker) {
  try {
    const auto [first, second] = make_channel_pair();
    const Fd to_distributor(first);
    const Fd to_worker(second);
    // If only the worker gets its end, it sees at once that there is no other one.
    return workers_.send(worker.pid, {MessageKind::link, static_cast<std::uint64_t>(distributor), {}}, second) &&
           workers_.send(distributor,
                         {MessageKind::link_worker, static_cast<std::uint64_t>(worker.pid),
                          fmt::format("{} {}", worker.slot, worker.row)},
                         first);
  } catch (const std::exception& error) {  // out of descriptors or memory
    log_warning("cannot link a worker with the distributor", {{"pid", worker.pid}, {"error", error.what()}});
    return false;
  }
}

void Distribution::unlinked(int distributor, int worker) {
  const auto found = links_.find({distributor, worker});
  if (found != links_.end()) found->second = monotonic_ms() + kAgainMs;
}

bool Distribution::tell_gone(const Pair& pair) {
  return workers_.handle(pair.first) == nullptr ||
         workers_.send(pair.first, {MessageKind::worker_gone, static_cast<std::uint64_t>(pair.second), {}});
}

void Distribution::gone(const WorkerEntry& process) {
  std::erase_if(
      links_, [&](const auto& entry) { return entry.first.first == process.pid || entry.first.second == process.pid; });
  if (!is_worker_slot(process.slot)) return;
  for (const int distributor : distributors()) {
    if (!tell_gone({distributor, process.pid})) untold_.emplace(distributor, process.pid);
  }
}

}  // namespace pronghorn::supervisor
