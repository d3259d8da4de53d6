#include "supervisor/control/job_relay.h"

#include <utility>

namespace pronghorn::supervisor {

void JobRelay::ended(const EndedIncarnation& worker) {
  if (worker.incarnation.empty()) return;
  ChannelMessage message{MessageKind::worker_ended, worker.unexpected ? 1U : 0U,
                         worker.incarnation + '\n' + worker.job + '\n' + worker.report + '\n' + worker.reason};
  if (!send(message) && waiting_.size() < kMaxWaiting) waiting_.push_back(std::move(message));
}

bool JobRelay::send(const ChannelMessage& message) {
  bool sent = false;
  for (const WorkerEntry& worker : workers_.slots().workers()) {
    const bool has_application = is_worker_slot(worker.slot) || is_job_slot(worker.slot);
    if (has_application && worker.state == WorkerState::ready && workers_.send(worker.pid, message)) sent = true;
  }
  return sent;
}

void JobRelay::worker_ready(int pid) {
  std::erase_if(waiting_, [this, pid](const ChannelMessage& message) { return workers_.send(pid, message); });
}

}  // namespace pronghorn::supervisor
