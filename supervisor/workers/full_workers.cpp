#include "supervisor/workers/full_workers.h"

#include "common/config/connection_limit.h"

namespace pronghorn::supervisor {

std::set<int> FullWorkers::look(std::uint64_t now) {
  std::set<int> full;
  std::erase_if(seen_, [this](const auto& entry) { return workers_.slots().find(entry.first) == nullptr; });
  for (const WorkerEntry& worker : workers_.slots().workers()) {
    if (worker.state != WorkerState::ready) continue;
    const WorkerHandle* handle = workers_.handle(worker.pid);
    const WorkerRow& row = board_.worker(worker.slot, worker.row);
    if (handle == nullptr || row.pid.load() != static_cast<std::uint32_t>(worker.pid)) continue;
    const std::uint64_t pauses = row[Count::accept_pauses].load();
    Seen& seen = seen_.try_emplace(worker.pid, Seen{.pauses = pauses}).first->second;
    if (pauses != seen.pauses) seen = {.pauses = pauses, .short_until_ms = now + kShortMs};
    const bool has_most = row[Count::connections].load() >= most_connections(handle->config->http.max_connections);
    if (has_most || now < seen.short_until_ms) full.insert(worker.pid);
  }
  return full;
}

}  // namespace pronghorn::supervisor
