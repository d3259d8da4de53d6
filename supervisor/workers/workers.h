// The worker processes, the distributor and the admin process: starts them, reads their messages, restarts and stops
// them.
//
// Context: supervisor, main thread. Slots decides what is due, Workers carries it out.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/config/config.h"
#include "common/ipc/channel.h"
#include "common/ipc/handover.h"
#include "common/ipc/scoreboard.h"
#include "common/tls/ticket_keys.h"
#include "supervisor/covers/covers.h"
#include "supervisor/crash/crash_reporter.h"
#include "supervisor/launch/app_copy.h"
#include "supervisor/launch/handoff_queue.h"
#include "supervisor/listen/listeners.h"
#include "supervisor/slots/handle_table.h"
#include "supervisor/slots/slot_publisher.h"
#include "supervisor/slots/slots.h"
#include "supervisor/slots/start_verdict.h"
#include "supervisor/system/child_process.h"
#include "supervisor/tls/tls_material.h"
#include "supervisor/workers/exit_explainer.h"
#include "supervisor/workers/guardians.h"
#include "supervisor/workers/watchdog.h"

namespace pronghorn::supervisor {

// What a worker is started with. Each slot keeps its own until a rollout has replaced its worker.
struct Launch {
  std::uint32_t generation = 1;
  std::shared_ptr<const Config> config;      // shared by the slots of a generation and the rollout that makes it
  std::shared_ptr<const AppCopy> app{};      // kept while any worker may start with it; null: the file is used in place
  std::shared_ptr<const TlsMaterial> tls{};  // null: no address is https
};

// A worker that has been reaped, as other workers need to know it.
struct EndedIncarnation {
  std::string incarnation;  // it named itself so; empty: it ended before
  std::string job;          // the id of the job that has killed it; empty: none has
  std::string report;       // file name of its crash report; empty: there is none
  std::string reason;
  bool unexpected = false;
};

class Workers {
 public:
  struct Callbacks {
    std::function<void(const WorkerEntry&)> on_ready;
    // The worker has been reaped and is no longer in slots(). `reason`: "signal 11 (SIGSEGV)", then its message.
    std::function<void(const WorkerEntry&, const std::string& reason)> on_exit;
    // No worker has ever been ready, and restarting them is hopeless. Called at most once.
    std::function<void(const std::string& reason)> on_cannot_start;
    // A distributor has lost its link to a worker: MessageKind::unlinked.
    std::function<void(int distributor, int worker)> on_unlinked;
    // A process could not take a Unix socket: MessageKind::listener.
    std::function<void(int pid)> on_listener_missed;
    // A worker has lost its link to the relay: MessageKind::relay_unlinked.
    std::function<void(int worker, int relay)> on_relay_unlinked;
    // A request has killed a worker: see killing_request() and killing_client(). Called before on_exit.
    std::function<void(const std::string& request, std::uint64_t client)> on_killed;
    // Called before on_exit.
    std::function<void(const EndedIncarnation&)> on_ended;
    // kill_identified, quarantined, quarantine_ended.
    std::function<void(int pid, const ChannelMessage& message)> on_quarantine;
    std::function<void(const ChannelMessage& message)> on_requests;  // an answer to list_requests
    std::function<void(const ChannelMessage& message)> on_jobs;      // an answer to jobs_command
  };
  // All references must outlive Workers.
  struct Environment {
    uv_loop_t* loop;
    std::string program;  // the workers' binary
    Scoreboard& board;
    Children& children;
    Listeners& listeners;
    Listeners* admin_listeners;  // null: there is no admin process
    const HandoffQueue& handoff;
    bool passes_connections;                  // a distributor has the listeners, and workers none
    CrashReporter* reporter = nullptr;        // null: no crash reports are written
    const TicketKeys* ticket_keys = nullptr;  // null: no address is https
  };

  Workers(Environment environment, Launch launch, Callbacks callbacks);
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Does everything that is due. Call after every event. Returns when to call again (monotonic milliseconds; 0: nothing
  // is due).
  std::uint64_t advance();
  // The watchdog. Call once a second.
  void watch() { watchdog_.look_for_hung(monotonic_ms()); }

  // Sets which ready workers are blocked (StallWatch), so that others accept from their listeners. Returns whether that
  // has changed; then call advance().
  bool set_still(std::set<int> pids) { return covers_.set_still(std::move(pids)); }
  [[nodiscard]] bool stands_still(int pid) const noexcept { return covers_.stands_still(pid); }
  // The same of those that accept no more (FullWorkers).
  bool set_full(std::set<int> pids) { return covers_.set_full(std::move(pids)); }

  // Sets the number of workers, clamped to 1 .. kMaxWorkers, and returns it. When the limit of descriptors does not
  // allow so many, the number stays and the error says so in one line.
  [[nodiscard]] std::expected<std::uint32_t, std::string> scale(std::int64_t workers);
  void send_all(const ChannelMessage& message);
  bool send(int pid, const ChannelMessage& message, int fd = -1) { return handles_.send(pid, message, fd); }

  // Starts a worker of another launch beside the one that serves the slot. Returns its pid.
  [[nodiscard]] std::expected<int, std::string> start_successor(std::uint32_t slot, const Launch& launch);
  // The successor is ready: drains the slot's other worker. The slot's next workers are of this launch.
  void commit(int pid, const Launch& launch);
  // Drains the worker first and starts the slot's next one when the process has ended.
  void drain_before_start(int pid);
  // Drains a worker that serves: it stops accepting immediately, and the slot starts another one beside it.
  void retire(int pid);
  // The slot's next workers use this launch, whatever runs in it now. Earlier exits do not delay them.
  void set_slot_launch(std::uint32_t slot, const Launch& launch);
  // Stops a worker at once: a successor that is no longer wanted and has not served yet.
  void discard(int pid);
  // Kills a worker; `why` is logged with its exit.
  void kill(int pid, std::string why);
  // Slots that are added later use this launch.
  void set_launch(const Launch& launch);
  [[nodiscard]] const Launch& launch_of(std::uint32_t slot) const { return launches_[slot]; }

  // End the server: no worker is replaced from now on. drain_all keeps the admin process, which answers until the end.
  void drain_all();
  void stop_all();
  void stop_admin();

  // Takes over a worker that an earlier image of this program has started, and its guardian; 0: it has none.
  void adopt(const WorkerEntry& worker, int channel_fd, std::uint32_t known_slots, const Launch& launch, int guardian);
  // Call if the application has started before: a worker that fails to start then does not end the server.
  void forget_failures() noexcept { start_verdict_.worker_ready(); }

  [[nodiscard]] const Slots& slots() const noexcept { return slots_; }
  [[nodiscard]] Guardians& guardians() noexcept { return guardians_; }
  [[nodiscard]] const Guardians& guardians() const noexcept { return guardians_; }
  // Null: no such worker.
  [[nodiscard]] const WorkerHandle* handle(int pid) const noexcept { return handles_.find(pid); }
  [[nodiscard]] std::size_t count_without_admin() const noexcept;

 private:
  static constexpr std::uint64_t kStopGraceMs = 1'000;    // from stop to SIGKILL
  static constexpr Milliseconds kCutGrace{500};           // a worker closes what is left at drain_timeout by itself
  static constexpr std::uint64_t kClosedGraceMs = 5'000;  // from the end of the channel to SIGKILL

  void start_due(std::uint64_t now);
  [[nodiscard]] std::expected<int, std::string> start(Slots::Place place, const Launch& launch);
  [[nodiscard]] Handover handover_for(Slots::Place place, const Launch& launch, std::vector<int>& fds) const;
  std::unique_ptr<WorkerHandle> make_handle(int channel_fd, const Launch& launch);
  [[nodiscard]] const Config& config_of(const WorkerEntry& worker) const;
  void on_message(WorkerHandle& handle, const ChannelMessage& message, int fd);
  void on_ready(int pid);
  [[nodiscard]] std::uint64_t in_flight_of(const WorkerEntry& worker) const noexcept;
  void on_exit(const ChildExit& how);
  void drop_unused_listeners() noexcept;
  void drain(const WorkerEntry& worker, Milliseconds delay);
  void stop(const WorkerEntry& worker);
  [[nodiscard]] double jitter() { return std::uniform_real_distribution<double>(-1.0, 1.0)(random_); }

  Environment environment_;
  Callbacks callbacks_;
  Slots slots_;
  HandleTable handles_;
  Covers covers_;
  SlotPublisher publisher_;
  ExitExplainer explainer_;
  Watchdog watchdog_;
  Guardians guardians_;
  StartVerdict start_verdict_;
  Launch launch_;
  std::vector<Launch> launches_;  // by slot
  bool stopping_ = false;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace pronghorn::supervisor
