// The supervisor's loop: signals, timers and phases. Connects the parts of the supervisor with each other.
//
// Context: supervisor, main thread.
#pragma once

#include <uv.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "supervisor/control/control_commands.h"
#include "supervisor/control/control_socket.h"
#include "supervisor/control/in_flight_query.h"
#include "supervisor/control/job_query.h"
#include "supervisor/control/job_relay.h"
#include "supervisor/control/quarantine_relay.h"
#include "supervisor/crash/crash_reporter.h"
#include "supervisor/crash/stack/symbolizer.h"
#include "supervisor/ground.h"
#include "supervisor/launch/app_check.h"
#include "supervisor/launch/supervisor_hooks.h"
#include "supervisor/load/distribution.h"
#include "supervisor/load/history.h"
#include "supervisor/load/sampler.h"
#include "supervisor/load/scaling.h"
#include "supervisor/recycling/recycler.h"
#include "supervisor/redis/embedded_redis.h"
#include "supervisor/rollout/rollouts.h"
#include "supervisor/service_report.h"
#include "supervisor/shutdown.h"
#include "supervisor/socket_files.h"
#include "supervisor/system/child_process.h"
#include "supervisor/system/service_manager.h"
#include "supervisor/system/uv_handles.h"
#include "supervisor/tls/certificate_watch.h"
#include "supervisor/upgrade/program_files.h"
#include "supervisor/upgrade/program_replacement.h"
#include "supervisor/workers/full_workers.h"
#include "supervisor/workers/stall_watch.h"
#include "supervisor/workers/topic_relay.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

class SupervisorProcess {
 public:
  // `loop` and `ground` must outlive this. Throws ConfigurationError when the control socket cannot be created.
  SupervisorProcess(uv_loop_t* loop, Ground& ground, const SupervisorHooks& hooks);
  SupervisorProcess(const SupervisorProcess&) = delete;
  SupervisorProcess& operator=(const SupervisorProcess&) = delete;

  // Runs the server. Returns the exit status when every child has been reaped. Call once.
  int run();

 private:
  enum class Phase { starting, running, draining, stopping };

  [[nodiscard]] Workers::Callbacks worker_callbacks();
  [[nodiscard]] ControlCommands::Actions control_actions();
  void watch_signals();
  void begin();
  void resume();
  void start_workers();
  [[nodiscard]] bool all_ready() const noexcept;
  void announce();

  // Runs advance() in the next turn of the loop, so that no event handler runs within another.
  void schedule() { due_.start(Milliseconds(0)); }
  void advance();
  void tick();
  void watch_memory();
  void watch_tls();
  void watch_for_stalls(Milliseconds threshold);
  void look_for_unable();
  [[nodiscard]] bool has_relay() const { return ground_.config->redis != "none"; }
  [[nodiscard]] bool stopping() const noexcept { return phase_ == Phase::draining || phase_ == Phase::stopping; }

  void worker_ready(const WorkerEntry& worker);
  void worker_exited(const WorkerEntry& worker, const std::string& reason);
  void cannot_start(const std::string& reason);
  void rollout_complete(const Config& config);

  void drain();
  void stop_now();
  void interrupted();
  void begin_stop();
  void reload(Rollouts::Waiter waiter, std::optional<Milliseconds> canary = {});
  void rollback(Rollouts::Waiter waiter);
  [[nodiscard]] bool may_roll_out(const Rollouts::Waiter& waiter);
  void replace_program(ProgramReplacement::Waiter waiter);
  [[nodiscard]] std::string status_line() const;
  void reopen_logs();
  // Returns one line that says why the level stays, or nothing.
  [[nodiscard]] std::string change_log_level(const std::string& level);
  [[nodiscard]] std::expected<std::uint32_t, std::string> scale(std::int64_t workers, bool relative);

  uv_loop_t* loop_;
  Ground& ground_;
  Phase phase_ = Phase::starting;
  int status_ = 0;
  bool announced_ = false;  // every slot has had a ready worker, and the distributor was
  std::string log_level_;   // set while the server runs; empty: that of the configuration
  std::uint64_t began_ms_;

  ServiceManager manager_;
  ServiceReport report_;
  Children children_;
  ControlSocket control_;
  std::optional<EmbeddedRedis> redis_;
  Symbolizer symbolizer_;
  CrashReporter reporter_;
  Workers workers_;
  SocketFiles socket_files_;
  StallWatch stalls_;
  FullWorkers full_;
  CertificateWatch certificates_;
  AppCheck check_;
  Rollouts rollouts_;
  Recycler recycler_;
  TopicRelay relay_;
  std::optional<Distribution> distribution_;  // with a balance that passes connections
  Sampler sampler_;
  History history_;
  Scaling scaling_;
  QuarantineRelay quarantine_;
  JobRelay jobs_;
  JobQuery job_query_;
  InFlightQuery requests_;
  ControlCommands commands_;
  ProgramFiles program_files_;
  ProgramReplacement replacement_;
  Shutdown shutdown_;
  Timer due_;
  Timer tick_;
  Timer memory_tick_;
  Timer stall_tick_;
  Timer tls_tick_;  // with https
  Timer watchdog_;
  std::vector<std::unique_ptr<Signal>> signals_;
};

}  // namespace pronghorn::supervisor
