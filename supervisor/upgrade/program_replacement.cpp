#include "supervisor/upgrade/program_replacement.h"

#include <fmt/format.h>
#include <unistd.h>

#include <exception>
#include <memory>
#include <utility>

#include "common/log.h"
#include "supervisor/tls/redis_files.h"

namespace pronghorn::supervisor {
namespace {

constexpr std::uint64_t kAgainMs = 10;
constexpr std::uint64_t kGuardiansMs = 1000;  // a guardian that takes longer goes unreported

}  // namespace

ProgramReplacement::ProgramReplacement(uv_loop_t* loop, Children& children, Parts parts, SupervisorHooks hooks,
                                       std::function<void()> schedule)
    : parts_(parts),
      hooks_(std::move(hooks)),
      schedule_(std::move(schedule)),
      state_check_(loop, children, parts.program) {}

void ProgramReplacement::begin(Waiter waiter) {
  busy_ = true;
  waiter_ = std::move(waiter);
  try {
    fresh_ = hooks_.reload_config();
  } catch (const std::exception& error) {
    return fail(fmt::format("the configuration is invalid: {}", error.what()));
  }
  try {
    Config served = fresh_;
    served.listen = parts_.rollouts.launch().config->listen;  // a change needs a restart
    static_cast<void>(load_tls_material(served));
    read_redis_files(served);
  } catch (const std::exception& error) {
    return fail(fmt::format("the certificates cannot be used: {}", error.what()));
  }
  log_info("checking the program that is to replace this one", {{"program", parts_.program}});
  state_check_.start(state(), [this](const std::string& error) { state_checked(error); });
}

void ProgramReplacement::state_checked(const std::string& error) {
  if (!busy_) return;
  if (!error.empty()) return fail(error);
  parts_.check.start(fresh_, parts_.rollouts.last_generation() + 1,
                     [this](const std::string& reason) { app_checked(reason); });
}

void ProgramReplacement::app_checked(const std::string& error) {
  if (!busy_) return;
  if (!error.empty()) return fail(error);
  checked_ = true;
  checked_ms_ = monotonic_ms();
  schedule_();
}

void ProgramReplacement::fail(const std::string& reason) {
  busy_ = false;
  checked_ = false;
  failure_ = "the program is not replaced: " + reason;
  log_error(failure_);
  if (const Waiter waiter = std::exchange(waiter_, nullptr)) waiter(failure_);
}

void ProgramReplacement::cancel() noexcept {
  if (!busy_) return;
  fail("the server is stopping");
  state_check_.cancel();
  parts_.check.cancel();
}

std::uint64_t ProgramReplacement::advance() {
  if (!checked_) return 0;
  // The new image would know neither the symbolizer's child nor which dead worker a guardian works for.
  const std::uint64_t now = monotonic_ms();
  const bool guardians_work = parts_.workers.guardians().at_work() && now < checked_ms_ + kGuardiansMs;
  if (parts_.symbolizer.busy() || guardians_work) return now + kAgainMs;
  if (parts_.rollouts.busy()) {
    fail("workers are being replaced");
    return 0;
  }
  log_info("replacing the supervisor's program", {{"program", parts_.program}});
  if (const Waiter waiter = std::exchange(waiter_, nullptr)) waiter("");
  fail(exec_with_state(parts_.program, state()));
  return 0;
}

ResumeState ProgramReplacement::state() const {
  ResumeState state;
  state.pid = ::getpid();
  state.started_ms = parts_.board.server().started_ms.load();
  state.generation = parts_.rollouts.launch().generation;
  state.last_generation = parts_.rollouts.last_generation();
  state.target = parts_.workers.slots().target();
  state.set_by_hand = parts_.scaling.set_by_hand();
  state.config = *parts_.rollouts.launch().config;
  if (const Launch& previous = parts_.rollouts.previous(); previous.config != nullptr) {
    state.previous_generation = previous.generation;
    state.previous_config = *previous.config;
    if (previous.tls != nullptr) state.previous_tls_credentials_fd = previous.tls->credentials.get();
  }
  const auto& tls = parts_.rollouts.launch().tls;
  if (tls != nullptr) state.tls_credentials_fd = tls->credentials.get();
  if (parts_.ticket_keys) state.ticket_keys_fd = parts_.ticket_keys->fd();
  state.scoreboard_fd = parts_.board.fd();
  state.control_fd = parts_.control.fd();
  state.runtime_lock_fd = parts_.locks.runtime.get();
  state.data_lock_fd = parts_.locks.data.get();
  state.redis_lock_fd = parts_.locks.redis.get();
  state.handoff_give_fd = parts_.handoff.give.get();
  state.handoff_take_fd = parts_.handoff.take.get();
  state.redis_pid = parts_.redis ? parts_.redis->pid() : 0;
  state.listeners = parts_.listeners.handed_over();
  if (parts_.admin_listeners != nullptr) state.admin_listeners = parts_.admin_listeners->handed_over();
  for (const WorkerEntry& worker : parts_.workers.slots().workers()) {
    if (const WorkerHandle* handle = parts_.workers.handle(worker.pid)) {
      state.workers.push_back({.worker = worker,
                               .channel_fd = handle->channel_fd,
                               .known_slots = handle->known_slots,
                               .guardian = parts_.workers.guardians().of(worker.pid)});
    }
  }
  state.history = points_of(parts_.board.history());
  return state;
}

void ProgramReplacement::rollout_ended(const std::string& error) {
  result_ = error;
  for (const ResultWaiter& waiter : std::exchange(result_waiters_, {})) waiter(error);
}

void ProgramReplacement::wait_for_result(ResultWaiter waiter) {
  if (!resumed_) return waiter(failure_);
  if (result_) return waiter(*result_);
  result_waiters_.push_back(std::move(waiter));
}

void ProgramReplacement::resume(const ResumeState& state, const Launch& launch) {
  resumed_ = true;
  Launch previous;
  if (state.previous_generation != 0) {
    previous = {.generation = state.previous_generation,
                .config = std::make_shared<const Config>(state.previous_config),
                .app = adopt_app_copy(state.previous_config),
                .tls = adopt_tls_material(state.previous_tls_credentials_fd)};
  }
  parts_.workers.set_launch(launch);
  for (const ResumedWorker& each : state.workers) {
    parts_.workers.adopt(
        each.worker, each.channel_fd, each.known_slots,
        {.generation = each.worker.generation, .config = launch.config, .app = launch.app, .tls = launch.tls},
        each.guardian);
  }
  parts_.workers.forget_failures();
  parts_.rollouts.resume(launch, previous, state.last_generation);
  parts_.scaling.resume(*launch.config, state.target, state.set_by_hand);
  if (parts_.redis && state.redis_pid != 0) {
    parts_.redis->adopt(state.redis_pid);
  } else if (parts_.redis) {
    parts_.redis->start([] {});
  }
  log_info("the supervisor's program has been replaced; its workers follow", {{"pid", ::getpid()}});
}

}  // namespace pronghorn::supervisor
