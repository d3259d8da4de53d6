// One worker process, from its row in the scoreboard to its exit.
#pragma once

#include <uv.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <typeinfo>

#include "common/config/config.h"
#include "common/ipc/channel.h"
#include "common/ipc/handover.h"
#include "common/ipc/scoreboard.h"
#include "common/uv_ptr.h"
#include "pronghorn/app.h"
#include "pronghorn/task.h"
#include "pronghorn/worker.h"
#include "worker/admin/admin_handler.h"
#include "worker/admin/https_redirect.h"
#include "worker/control/quarantine_keeper.h"
#include "worker/drain.h"
#include "worker/guardian/survival.h"
#include "worker/passed_connections.h"
#include "worker/process/heartbeat.h"
#include "worker/routing/served_app.h"
#include "worker/runtime/runtime.h"
#include "worker/server/http_server.h"
#include "worker/slot_listeners.h"
#include "worker/state/state_services.h"
#include "worker/supervisor_messages.h"
#include "worker/websocket/socket_service.h"
#include "worker/worker_tls.h"

namespace pronghorn::worker {

// Connects the parts of a worker with each other: loads the application, serves until it is told to drain, closes all.
// The admin process is one without state and with an application that has no routes.
//
// Context: its own process, main thread, once.
class WorkerProcess final : public pronghorn::Worker {
 public:
  // `survival`: null if connections end with this worker. `setup`: null for the plugin of the configuration. Both, and
  // `board`, must outlive it.
  WorkerProcess(Handover handover, Scoreboard& board, Survival* survival, void (*setup)(App&));
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  ~WorkerProcess() override = default;

  // Returns the exit status: see run_worker(). Throws if the process cannot watch for signals.
  int run();

  [[nodiscard]] unsigned slot() const noexcept override { return handover_.slot; }
  [[nodiscard]] unsigned generation() const noexcept override { return handover_.generation; }
  [[nodiscard]] bool draining() const noexcept override { return row_.phase.load() == WorkerPhase::draining; }
  [[nodiscard]] StateServices& services() override;
  [[nodiscard]] SocketService& socket_service() override { return *sockets_; }

 private:
  [[nodiscard]] void* find_state(const std::type_info& type) const noexcept override {
    return application_ ? application_->find_state(type) : nullptr;
  }
  void watch_for_term();
  void tell_guardian();
  [[nodiscard]] auto find_setup() const -> void (*)(App&);
  [[nodiscard]] bool must_serve() const;
  void refused_by_redis(std::string reason);
  [[nodiscard]] Task<void> boot();
  void begin_leaving();
  [[nodiscard]] Task<void> leave();
  void cannot_start(const std::string& reason);
  void begin_accepting();
  void follow_relays();
  void supervisor_gone();
  void drain(std::chrono::milliseconds delay);
  void stop_now();
  void cut();
  [[nodiscard]] Readiness readiness() const;
  void close_handles();

  Handover handover_;
  Config& config_;
  Scoreboard& board_;
  WorkerRow& row_;
  Survival* survival_;  // null: connections end with this worker
  void (*setup_)(App&);
  uv_loop_t loop_{};
  std::optional<Runtime> runtime_;
  std::optional<Channel> channel_;
  std::optional<Heartbeat> heartbeat_;
  std::optional<StateServices> state_;
  std::optional<SocketService> sockets_;
  std::optional<ServedApp> application_;
  std::optional<QuarantineKeeper> quarantine_;  // not in the admin process
  std::optional<HttpsRedirect> redirect_;       // with the option redirect_http
  std::optional<AdminHandler> admin_;
  std::optional<WorkerTls> tls_;  // not if no listener speaks TLS
  std::optional<HttpServer> http_;
  std::optional<SlotListeners> listeners_;  // these three: once it accepts
  std::optional<PassedConnections> passed_;
  std::optional<Drain> drain_;
  SupervisorMessages messages_;
  UvPtr<uv_signal_t> terminate_;
  UvPtr<uv_timer_t> leave_timer_;
  std::string redis_refusal_;  // a wrong password or database: this worker cannot start
  Task<void> booting_;
  Task<void> leaving_;
  int status_ = 0;
};

}  // namespace pronghorn::worker
