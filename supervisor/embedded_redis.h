// The private redis-server of `--redis embedded`: on a Unix socket, kept alive, its append-only file in the data
// directory.
//
// Context: supervisor, main thread. We start it and look whether it accepts; only workers talk to it.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "supervisor/listen/unix_socket.h"
#include "supervisor/system/child_process.h"
#include "supervisor/system/fd.h"
#include "supervisor/system/uv_handles.h"
#include "supervisor/workers/restart_policy.h"

namespace pronghorn::supervisor {

// Throws ConfigurationError with advice when config.redis_server cannot be found.
void require_redis_server(const Config& config);

class EmbeddedRedis {
 public:
  // `program` is our own binary, for the guard (supervisor/redis_guard.h). The directories of `config` exist. `lock` is
  // that of lock_redis_data() and outlives this; Redis gets a copy.
  EmbeddedRedis(uv_loop_t* loop, Children& children, std::string program, const Config& config, const Fd& lock);

  // Starts it and calls `settled` once: when it accepts connections, has ended, or has not answered for 5 s. The
  // server goes on in any case: what needs no state is served.
  void start(std::function<void()> settled);
  // Takes over the process that an earlier image of this program started.
  void adopt(int pid);
  static constexpr std::chrono::milliseconds kStopLimit{10'000};  // to complete the append-only file
  // Ends it and calls `stopped` once it has been reaped. It is killed when that takes longer than `limit`.
  void stop(std::function<void()> stopped, std::chrono::milliseconds limit = kStopLimit);
  // Kills it: for a stop that may not take time.
  void kill() noexcept;
  // Once a second: a Redis whose socket file is gone can be reached by no new worker, and is started again.
  void watch();

  // 0: not running.
  [[nodiscard]] int pid() const noexcept { return pid_; }

 private:
  void spawn();
  [[nodiscard]] std::vector<std::string> command_line() const;
  void look();
  void exited(const ChildExit& exit);
  void settle();

  Children& children_;
  std::string program_;
  Config config_;
  const Fd& lock_;
  std::string socket_;
  std::optional<FileId> socket_file_;  // the one that Redis made; empty before it is up
  std::string log_file_;
  int pid_ = 0;
  std::uint64_t started_ms_ = 0;
  std::uint64_t up_ms_ = 0;  // 0: does not accept yet
  bool stopping_ = false;
  bool ending_ = false;  // told to end, to be started again
  RestartPolicy policy_;
  std::minstd_rand random_{std::random_device{}()};
  std::function<void()> settled_;
  std::function<void()> stopped_;
  Timer look_;
  Timer restart_;
  Timer limit_;  // of the start, then of the stop
};

}  // namespace pronghorn::supervisor
