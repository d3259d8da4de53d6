// Tells workers that another one has ended, so that they take up its jobs at once.
//
// The supervisor knows neither jobs nor Redis: it names the process that has ended, and what that was doing.
#pragma once

#include <cstddef>
#include <vector>

#include "common/ipc/channel.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

// Context: supervisor, main thread. `workers` must outlive it.
class JobRelay {
 public:
  explicit JobRelay(Workers& workers) : workers_(workers) {}

  // Every ready worker is told, because each may have room for some of the jobs. If there is none, the next one is.
  void ended(const EndedIncarnation& worker);
  void worker_ready(int pid);

 private:
  static constexpr std::size_t kMaxWaiting = 64;  // the jobs of more go back when their lease ends

  [[nodiscard]] bool send(const ChannelMessage& message);

  Workers& workers_;
  std::vector<ChannelMessage> waiting_;
};

}  // namespace pronghorn::supervisor
