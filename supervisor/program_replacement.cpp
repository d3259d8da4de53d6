// SIGUSR2: the supervisor's program is replaced in place. Both ends of it: leaving the old image, and going on in the
// new.
#include <fmt/format.h>
#include <unistd.h>

#include "common/log.h"
#include "supervisor/supervisor_process.h"

namespace pronghorn::supervisor {
namespace {

constexpr std::uint64_t kFlushLimitMs = 1'000;  // for clients to reach a worker

}  // namespace

// First whatever can be found wrong while the old image still runs.
void SupervisorProcess::replace_program() {
  if (phase_ != Phase::running || !announced_ || rollouts_.busy() || recycler_.surging() || replacing_program_) {
    return log_warning("the program is not replaced: the server starts, stops, or is replacing workers");
  }
  replacing_program_ = true;
  Config fresh;
  try {
    fresh = hooks_.reload_config();
  } catch (const std::exception& error) {
    replacing_program_ = false;
    return log_error(fmt::format("the program is not replaced: the configuration is not valid: {}", error.what()));
  }
  check_.start(fresh, rollouts_.last_generation() + 1, [this](const std::string& error) {
    if (phase_ != Phase::running) return;
    if (!error.empty()) {
      replacing_program_ = false;
      return log_error("the program is not replaced: the application does not load: " + error);
    }
    exec_by_ms_ = monotonic_ms() + kFlushLimitMs;
    schedule();
  });
}

// Clients that we hold do not live through the exec: they go to workers first.
void SupervisorProcess::exec_when_flushed() {
  if (exec_by_ms_ == 0 || symbolizer_.busy()) return;  // nobody would reap its process
  if (dispatcher_) {
    dispatcher_->flush();
    const std::size_t left = dispatcher_->waiting();
    if (left > 0 && monotonic_ms() < exec_by_ms_) return;
    if (left > 0) log_warning("clients that no worker has taken are dropped", {{"clients", left}});
  }
  exec_by_ms_ = 0;
  replacing_program_ = false;
  if (phase_ != Phase::running) return;
  if (rollouts_.busy()) return log_warning("the program is not replaced: workers are being replaced");
  exec_program();
}

void SupervisorProcess::exec_program() {
  ResumeState state;
  state.pid = ::getpid();
  state.started_ms = ground_.board.server().started_ms.load();
  state.generation = rollouts_.launch().generation;
  state.last_generation = rollouts_.last_generation();
  state.target = workers_.slots().target();
  state.set_by_hand = set_by_hand_;
  state.config = *rollouts_.launch().config;
  if (const Launch& previous = rollouts_.previous(); previous.config != nullptr) {
    state.previous_generation = previous.generation;
    state.previous_config = *previous.config;
  }
  state.scoreboard_fd = ground_.board.fd();
  state.control_fd = control_.fd();
  state.runtime_lock_fd = ground_.runtime_lock.get();
  state.data_lock_fd = ground_.data_lock.get();
  state.redis_lock_fd = ground_.redis_lock.get();
  state.redis_pid = redis_ ? redis_->pid() : 0;
  state.listeners = ground_.listeners.handed_over();
  if (ground_.admin_listeners) state.admin_listeners = ground_.admin_listeners->handed_over();
  for (const WorkerEntry& worker : workers_.slots().workers()) {
    if (const WorkerHandle* handle = workers_.handle(worker.pid)) {
      state.workers.push_back({worker, handle->channel_fd, handle->known_slots});
    }
  }
  log_info("replacing the supervisor's program", {{"program", ground_.program}});
  log_error("the program is not replaced: " + exec_with_state(ground_.program, state));
}

void SupervisorProcess::resume() {
  const ResumeState& state = *ground_.resume;
  phase_ = Phase::running;
  announced_ = true;
  const Launch launch{state.generation, ground_.config, rollouts_.launch().app};
  Launch previous;
  if (state.previous_generation != 0) {
    previous = {state.previous_generation, std::make_shared<const Config>(state.previous_config),
                adopt_app_copy(state.previous_config)};
  }
  workers_.set_launch(launch);
  for (const ResumedWorker& each : state.workers) {
    workers_.adopt(each.worker, each.channel_fd, each.known_slots,
                   {each.worker.generation, ground_.config, launch.app});
  }
  workers_.forget_failures();
  rollouts_.resume(launch, previous, state.last_generation);
  if (const auto scaled = workers_.scale(state.target); !scaled) log_error(scaled.error());
  set_by_hand_ = state.set_by_hand;
  if (set_by_hand_) autoscaler_.set_bounds(state.target, state.target);
  if (redis_ && state.redis_pid != 0) {
    redis_->adopt(state.redis_pid);
  } else if (redis_) {
    redis_->start([] {});
  }
  log_info("the supervisor's program has been replaced; its workers follow", {{"pid", ::getpid()}});
  block_signals(false);
  reload({});
  schedule();
}

}  // namespace pronghorn::supervisor
