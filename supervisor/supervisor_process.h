// The supervisor's loop: signals, control commands and timers, and the order in which everything starts and ends.
//
// Context: supervisor, main thread. The parts do the work; what they have in common meets here.
#pragma once

#include <uv.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "supervisor/control/control_socket.h"
#include "supervisor/control/quarantine.h"
#include "supervisor/crash/crash_reporter.h"
#include "supervisor/crash/symbolizer.h"
#include "supervisor/embedded_redis.h"
#include "supervisor/launch/app_check.h"
#include "supervisor/listen/listeners.h"
#include "supervisor/load/autoscaler.h"
#include "supervisor/load/dispatcher.h"
#include "supervisor/load/sampler.h"
#include "supervisor/recycling/recycler.h"
#include "supervisor/rollout/rollout.h"
#include "supervisor/supervisor.h"
#include "supervisor/system/child_process.h"
#include "supervisor/system/uv_handles.h"
#include "supervisor/upgrade/resume_state.h"
#include "supervisor/workers/stall_watch.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

// What is there before the loop: everything that a wrong configuration can refuse.
struct Ground {
  std::string program;  // path of our binary
  std::shared_ptr<const Config> config;
  std::shared_ptr<const AppCopy> app;  // of the first generation, or the one that runs; SupervisorProcess takes it
  Scoreboard board;
  Listeners listeners;
  std::unique_ptr<Listeners> admin_listeners;  // empty: no admin process
  Fd runtime_lock;
  Fd data_lock;
  Fd redis_lock;
  std::optional<ResumeState> resume;  // of an earlier image of this program
};

class SupervisorProcess {
 public:
  // Throws ConfigurationError when the control socket cannot be had. `ground` and `loop` outlive this.
  SupervisorProcess(uv_loop_t* loop, Ground& ground, const SupervisorHooks& hooks);
  SupervisorProcess(const SupervisorProcess&) = delete;
  SupervisorProcess& operator=(const SupervisorProcess&) = delete;

  // Returns the exit status when every child has been reaped. Call once.
  int run();

 private:
  enum class Phase { starting, running, draining, stopping };

  void watch_signals();
  void describe_server();
  void begin();
  void resume();
  void start_workers();
  void announce();

  // Everything that is due is done in the next turn of the loop, never within the event that made it so.
  void schedule() { due_.start(Milliseconds(0)); }
  void advance();
  void tick();
  void watch_for_stalls(Milliseconds threshold);
  void finish_when_empty();

  void worker_exited(const WorkerEntry& worker, const std::string& reason);
  void cannot_start(const std::string& reason);
  void rollout_complete(const Config& config);

  void drain();
  void stop_now();
  void interrupted();
  void reload(Rollouts::Waiter waiter, std::optional<Milliseconds> canary = {});
  void rollback(Rollouts::Waiter waiter);
  [[nodiscard]] bool may_roll_out(const Rollouts::Waiter& waiter);
  void restore_control();
  void reopen_logs();
  void replace_program();
  void exec_when_flushed();
  void exec_program();
  [[nodiscard]] std::expected<std::uint32_t, std::string> set_workers(std::int64_t number);
  void scale_by(int step);

  void command(const std::string& line, const ControlSocket::Reply& reply);
  [[nodiscard]] std::string scale_command(const std::string& argument);
  void reload_command(const std::string& canary_ms, bool wait, const ControlSocket::Reply& reply);
  [[nodiscard]] Rollouts::Waiter rollout_waiter(bool wait, const char* begun, const ControlSocket::Reply& reply);

  // quarantine_commands.cpp
  void request_killed(const std::string& request);
  void quarantine_message(const Message& message);
  [[nodiscard]] std::string quarantine_command(const std::string& released);
  void tell_a_worker(Message message);
  void tell_waiting();

  uv_loop_t* loop_;
  Ground& ground_;
  SupervisorHooks hooks_;
  Phase phase_ = Phase::starting;
  int status_ = 0;
  bool announced_ = false;
  bool closing_redis_ = false;
  bool replacing_program_ = false;
  std::uint64_t alone_since_ms_ = 0;  // no worker is left, and some other process still runs
  std::uint64_t exec_by_ms_ = 0;      // the program is replaced as soon as no client waits, or then; 0: it is not
  bool set_by_hand_ = false;          // the number of workers, since the last reload
  std::uint64_t began_ms_;

  Children children_;
  ControlSocket control_;
  std::optional<EmbeddedRedis> redis_;
  Symbolizer symbolizer_;
  CrashReports reports_;
  Workers workers_;
  StallWatch stalls_;
  AppCheck check_;
  Rollouts rollouts_;
  Recycler recycler_;
  std::optional<Dispatcher> dispatcher_;
  Sampler sampler_;
  Autoscaler autoscaler_;
  Quarantine quarantine_;
  std::vector<Message> for_a_worker_;  // of the quarantine; no worker was ready to take them
  Timer due_;
  Timer tick_;
  Timer stall_tick_;
  std::vector<std::unique_ptr<Signal>> signals_;
};

}  // namespace pronghorn::supervisor
