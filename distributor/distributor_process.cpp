#include "distributor/distributor_process.h"

#include <signal.h>
#include <unistd.h>
#include <uv.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>

#include "common/ipc/channel.h"
#include "common/ipc/handover.h"
#include "common/ipc/scoreboard.h"
#include "common/log.h"
#include "common/signals.h"
#include "distributor/distributor.h"
#include "supervisor/system/uv_handles.h"
#include "worker/process/child_programs.h"
#include "worker/process/crash/crash_handler.h"
#include "worker/process/crash/modules.h"
#include "worker/process/heartbeat.h"
#include "worker/process/orphan_guard.h"
#include "worker/process/process_log.h"

namespace pronghorn::distributor {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds kOrphanGrace = 5s;  // to pass on what has been accepted when the supervisor dies

class DistributorProcess {
 public:
  DistributorProcess(uv_loop_t* loop, const Handover& handover, Scoreboard& board, WorkerRow& row);
  DistributorProcess(const DistributorProcess&) = delete;
  DistributorProcess& operator=(const DistributorProcess&) = delete;

 private:
  void received(const ChannelMessage& message, int fd);

  uv_loop_t* loop_;
  Channel channel_;
  worker::Heartbeat heartbeat_;
  supervisor::Signal terminate_;
  Distributor distributor_;
};

DistributorProcess::DistributorProcess(uv_loop_t* loop, const Handover& handover, Scoreboard& board, WorkerRow& row)
    : loop_(loop),
      channel_(loop, kChannelFd,
               Channel::Callbacks{[this](const ChannelMessage& message, int fd) { received(message, fd); },
                                  [this] {
                                    log_error("the supervisor has died: exiting");
                                    distributor_.drain(0ms);
                                  }}),
      heartbeat_(loop, row, handover.config.worker_timeout, handover.config.stall_threshold),
      terminate_(loop, SIGTERM, [this] { distributor_.drain(0ms); }),
      distributor_(
          loop, handover, board, row,
          {.unlinked = [this](int pid) { channel_.send({MessageKind::unlinked, static_cast<std::uint64_t>(pid), {}}); },
           .finished = [loop] { uv_stop(loop); }}) {
  row.phase.store(WorkerPhase::ready);
  channel_.send({MessageKind::ready, 0, {}});
}

void DistributorProcess::received(const ChannelMessage& message, int fd) {
  const int pid = static_cast<int>(message.number);
  switch (message.kind) {
    case MessageKind::link_worker:
      return distributor_.links().add(pid, message.text, fd);
    case MessageKind::unlink_worker:
      return distributor_.links().close(pid);
    case MessageKind::worker_gone:
      return distributor_.links().worker_gone(pid);
    case MessageKind::drain:
      return distributor_.drain(std::chrono::milliseconds(message.number));
    case MessageKind::stop:
      return uv_stop(loop_);
    case MessageKind::listener:
      if (!distributor_.listen_to_unix(fd)) channel_.send({MessageKind::listener, 0, {}});
      return;
    case MessageKind::reopen_logs:
      return reopen_log();
    case MessageKind::log_level:
      return change_log_level(message.text);
    default:
      if (fd >= 0) ::close(fd);
      log_warning("unknown message from the supervisor: ignored", {{"kind", static_cast<std::uint32_t>(message.kind)}});
  }
}

int distribute(const Handover& handover) {
  Scoreboard board = Scoreboard::attach(kScoreboardFd);
  WorkerRow& row = board.worker(handover.slot, handover.row);
  take_row(row);
  copy_log_to(&row.log, &row.unwritten_log_lines);
  worker::record_modules(row.modules);
  worker::install_crash_handler(row);
  uv_loop_t loop{};
  if (const int error = uv_loop_init(&loop); error != 0) throw std::runtime_error(uv_strerror(error));
  uv_loop_configure(&loop, UV_METRICS_IDLE_TIME);
  std::optional<DistributorProcess> process(std::in_place, &loop, handover, board, row);
  uv_run(&loop, UV_RUN_DEFAULT);
  disarm({SIGTERM}, [&process] { process.reset(); });  // a second one would look like a crash
  uv_run(&loop, UV_RUN_DEFAULT);                       // handles that are being closed
  uv_loop_close(&loop);
  return 0;
}

}  // namespace

int run_distributor() {
  worker::keep_descriptors_from_children();
  worker::ignore_group_signals();
  const Handover handover = read_handover();
  if (!worker::die_with_supervisor(handover.supervisor_pid, kOrphanGrace + 1s)) return 1;
  try {
    worker::open_process_log(handover.config, "distributor");
    return distribute(handover);
  } catch (const std::exception& error) {
    log_error("the distributor cannot run: it exits", {{"error", error.what()}});
    return 1;
  }
}

}  // namespace pronghorn::distributor
