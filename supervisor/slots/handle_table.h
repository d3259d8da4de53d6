// The WorkerHandles of all living worker processes, by pid.
//
// Context: supervisor, main thread. Owned by Workers.
#pragma once

#include <memory>
#include <unordered_map>
#include <utility>

#include "common/ipc/channel.h"
#include "supervisor/slots/worker_handle.h"

namespace pronghorn::supervisor {

class HandleTable {
 public:
  void add(std::unique_ptr<WorkerHandle> handle) { handles_[handle->pid] = std::move(handle); }
  void erase(int pid) { handles_.erase(pid); }
  // Null: no such worker.
  [[nodiscard]] WorkerHandle* find(int pid) const noexcept {
    const auto found = handles_.find(pid);
    return found == handles_.end() ? nullptr : found->second.get();
  }

  // Sends a copy of `fd` along unless it is -1. False: there is no such worker, it is dying, or its queue is full.
  bool send(int pid, const ChannelMessage& message, int fd = -1) const noexcept {
    const WorkerHandle* handle = find(pid);
    return handle != nullptr && handle->channel->send(message, fd);
  }

  template <class Function>
  void for_each(Function function) const {
    for (const auto& [pid, handle] : handles_) function(*handle);
  }

 private:
  std::unordered_map<int, std::unique_ptr<WorkerHandle>> handles_;
};

}  // namespace pronghorn::supervisor
