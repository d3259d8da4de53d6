// The worker processes: starts them, listens to them, watches them, ends them.
//
// Context: supervisor, main thread. Slots decides what is due; this class does it.
#pragma once

#include <uv.h>

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/config/config.h"
#include "common/ipc/channel.h"
#include "common/ipc/handover.h"
#include "common/ipc/scoreboard.h"
#include "supervisor/crash/crash_reporter.h"
#include "supervisor/launch/app_copy.h"
#include "supervisor/listen/listeners.h"
#include "supervisor/system/child_process.h"
#include "supervisor/workers/covers.h"
#include "supervisor/workers/slots.h"
#include "supervisor/workers/worker_handle.h"

namespace pronghorn::supervisor {

// What a worker is started with. Each slot keeps its own until a rollout has replaced its worker.
struct Launch {
  std::uint32_t generation = 1;
  std::shared_ptr<const Config> config;  // shared by the slots of a generation and the rollout that makes it
  std::shared_ptr<const AppCopy> app{};  // lives as long as anything may start a worker with it; null: used in place
};

class Workers {
 public:
  struct Callbacks {
    std::function<void(const WorkerEntry&)> on_ready;
    // After the bookkeeping. `reason`: the worker's own words, else "signal 11 (SIGSEGV)".
    std::function<void(const WorkerEntry&, const std::string& reason)> on_exit;
    // No worker has ever been ready, and none can be expected to. At most once.
    std::function<void(const std::string& reason)> on_cannot_start;
    std::function<void(int pid, std::uint64_t ticket)> on_accepted;
    std::function<void(const std::string& request)> on_killed;  // see killing_request(); before on_exit
    std::function<void(const Message& message)> on_quarantine;  // those of the quarantine
  };
  // Where everything lives that outlasts a worker. All of it outlives Workers.
  struct Environment {
    uv_loop_t* loop;
    std::string program;  // of the workers
    Scoreboard& board;
    Children& children;
    Listeners& listeners;
    Listeners* admin_listeners;       // nullptr: no admin process
    bool passes_connections;          // workers get connections over their channel, not listeners
    CrashReports* reports = nullptr;  // nullptr: none are made
  };

  Workers(Environment environment, Launch launch, Callbacks callbacks);
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Does everything that is due and returns when it wants to be called again (monotonic milliseconds, 0: nothing is
  // due). To be called after every event.
  std::uint64_t advance();
  // The watchdog, once a second.
  void watch();

  // Any number is brought into 1 .. kMaxWorkers. The error is one line (too few descriptors for so many); the number
  // then stays.
  [[nodiscard]] std::expected<std::uint32_t, std::string> scale(std::int64_t workers);
  void send_all(const Message& message);
  bool send(int pid, const Message& message, int fd = -1);

  // A worker of another launch beside the one that serves the slot. Returns its pid.
  [[nodiscard]] std::expected<int, std::string> start_successor(std::uint32_t slot, const Launch& launch);
  // The successor is ready: the slot's other worker drains, and the slot's next workers are of this launch.
  void commit(int pid, const Launch& launch);
  // Nobody serves the slot for a moment: its next worker starts when this one has drained and gone.
  void drain_before_start(int pid);
  // The slot's next workers are of this launch, whatever runs in it now. Earlier exits do not delay them.
  void set_slot_launch(std::uint32_t slot, const Launch& launch);
  // A worker that was started and is not wanted any more, and has not served yet.
  void discard(int pid);
  // New slots, and the limits for all, are of this launch.
  void set_launch(const Launch& launch);
  [[nodiscard]] const Launch& launch_of(std::uint32_t slot) const { return launches_[slot]; }

  // No worker is replaced from now on. drain_all keeps the admin process, which answers until the end.
  void drain_all();
  void stop_all();
  void stop_admin();

  // The part of an earlier image's state that concerns one worker.
  void adopt(const WorkerEntry& worker, int channel_fd, std::uint32_t known_slots, const Launch& launch);
  void forget_failures() noexcept { ever_ready_ = true; }

  [[nodiscard]] const Slots& slots() const noexcept { return slots_; }
  [[nodiscard]] const WorkerHandle* handle(int pid) const noexcept;
  [[nodiscard]] std::size_t count_without_admin() const noexcept;

 private:
  static constexpr std::uint64_t kCoverAfterMs = 200;
  static constexpr std::uint64_t kAbortGraceMs = 2'000;   // from SIGABRT to SIGKILL
  static constexpr std::uint64_t kStopGraceMs = 1'000;    // from stop to SIGKILL
  static constexpr std::uint64_t kCutGraceMs = 500;       // after drain_timeout a worker cuts what is left by itself
  static constexpr std::uint64_t kClosedGraceMs = 5'000;  // from the end of the channel to SIGKILL

  [[nodiscard]] std::expected<int, std::string> start(Slots::Place place, const Launch& launch);
  [[nodiscard]] Handover handover_for(Slots::Place place, const Launch& launch, std::vector<int>& fds) const;
  std::unique_ptr<WorkerHandle> make_handle(int channel_fd, const Launch& launch);
  [[nodiscard]] const Config& config_of(const WorkerEntry& worker) const;
  void on_message(WorkerHandle& handle, const Message& message, int fd);
  void on_closed(WorkerHandle& handle);
  void on_exit(const ChildExit& exit);
  void explain_exit(const Slots::Exit& exit, const ChildExit& how, const std::string& cause);
  [[nodiscard]] CrashReports::Written write_report(const WorkerEntry& worker, const ChildExit& how,
                                                   const std::string& reason);
  [[nodiscard]] bool is_hopeless(const WorkerEntry& worker, const ChildExit& how);
  [[nodiscard]] bool every_slot_failed(std::uint32_t slot);
  void drop_unused_listeners() noexcept;
  void kill_due(std::uint64_t now);
  void abort_worker(const WorkerEntry& worker, std::uint64_t now, std::string why);
  void drain(const WorkerEntry& worker, Milliseconds delay);
  void stop(const WorkerEntry& worker);
  void update_covers(std::uint64_t now);
  bool send_cover(int pid, std::uint32_t slot);
  [[nodiscard]] std::uint64_t next_cover(std::uint64_t now) const noexcept;
  void publish(std::uint32_t slot, std::uint64_t now) noexcept;
  void publish_all(std::uint64_t now) noexcept;
  [[nodiscard]] double jitter() { return std::uniform_real_distribution<double>(-1.0, 1.0)(random_); }

  Environment environment_;
  Callbacks callbacks_;
  Slots slots_;
  Covers covers_;
  Launch launch_;
  std::vector<Launch> launches_;  // by slot
  std::unordered_map<int, std::unique_ptr<WorkerHandle>> handles_;
  std::set<std::uint32_t> failed_slots_;  // before any worker was ready
  std::uint64_t last_watch_ms_ = 0;
  bool ever_ready_ = false;
  bool stopping_ = false;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace pronghorn::supervisor
