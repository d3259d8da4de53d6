// The private redis-server of `--redis embedded`: on a Unix socket, restarted when it ends, with its append-only file
// in data_dir/redis, which only the server's user can read. Only workers use it; the supervisor only checks whether it
// accepts connections and answers.
//
// Context: supervisor, main thread.
#pragma once

#include <uv.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <ios>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/fd.h"
#include "supervisor/listen/unix_socket.h"
#include "supervisor/redis/redis_probe.h"
#include "supervisor/slots/restart_policy.h"
#include "supervisor/system/child_process.h"
#include "supervisor/system/uv_handles.h"

namespace pronghorn::supervisor {

// Creates data_dir/redis with mode 0700 and moves into it what a version that used data_dir itself has left there.
// Throws ConfigurationError.
void prepare_redis_directory(const Config& config);

// Throws ConfigurationError, with advice, when the program config.redis_server cannot be found.
void require_redis_server(const Config& config);

class EmbeddedRedis {
 public:
  // `program` is our own binary, which runs the guard (redis_guard.h). The directories of `config` must exist. `lock`
  // is that of lock_redis_data(); it must outlive this, and Redis inherits a copy.
  EmbeddedRedis(uv_loop_t* loop, Children& children, std::string program, const Config& config, const Fd& lock);

  // Starts it and calls `settled` once: when it serves (accepts connections and has loaded its data), has ended, or
  // does not serve after 5 s. In each case the server continues to start: requests that need no state can be served.
  void start(std::function<void()> settled);
  // Takes over the process that an earlier image of this program has started.
  void adopt(int pid);
  static constexpr std::chrono::milliseconds kStopLimit{10'000};  // to complete the append-only file
  // Ends it and calls `stopped` when it has been reaped. Kills it after `limit`.
  void stop(std::function<void()> stopped, std::chrono::milliseconds limit = kStopLimit);
  // Kills it, when there is no time for stop().
  void kill() noexcept;
  // A Redis that has not answered for so long is killed and replaced. It is longer than the 5 s for which a script can
  // keep Redis from answering (busy-reply-threshold).
  static constexpr std::chrono::milliseconds kAnswerLimit{10'000};
  // Restarts a Redis whose socket file was deleted, so that new workers cannot reach it, or that does not answer: it is
  // stopped by a signal, or hangs. What it has written to its append-only file is not lost.
  // Call once a second.
  void watch();

  // 0: not running.
  [[nodiscard]] int pid() const noexcept { return pid_; }

 private:
  void spawn();
  void restore_directories() const;
  [[nodiscard]] std::vector<std::string> command_line() const;
  [[nodiscard]] std::string advice() const;
  [[nodiscard]] bool is_listening() const noexcept;
  void look();
  void restart_without_socket();
  void exited(const ChildExit& exit);
  void look_at_rest();
  void rest_ended();
  void settle();

  Children& children_;
  std::string program_;
  Config config_;
  const Fd& lock_;
  std::string socket_;
  std::optional<FileId> socket_file_;  // of the running Redis; empty before it listens
  std::string directory_;              // of its files
  std::string log_file_;
  std::streamoff log_begin_ = 0;  // where what the running Redis logs begins
  int pid_ = 0;
  int group_ = 0;  // while stopping: what the program, which has ended, has started
  std::uint64_t started_ms_ = 0;
  std::uint64_t up_ms_ = 0;  // since when it serves; 0: not yet
  bool stopping_ = false;
  bool ending_ = false;  // is ending, to be restarted
  RedisProbe probe_;
  RestartPolicy policy_;
  std::minstd_rand random_{std::random_device{}()};
  std::function<void()> settled_;
  std::function<void()> stopped_;
  Timer look_;
  Timer restart_;
  Timer rest_;
  Timer limit_;  // for the start, then for the stop
};

}  // namespace pronghorn::supervisor
