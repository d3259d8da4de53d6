#include "supervisor/supervisor_process.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "common/log.h"
#include "supervisor/system/errors.h"

namespace pronghorn::supervisor {
namespace {

constexpr std::uint64_t kStackLimitMs = 3'000;  // for the names of functions, when all else has ended
constexpr Milliseconds kStopNowLimit{1'000};    // for Redis, when the server is to stop now

ControlSocket make_control(uv_loop_t* loop, const Ground& ground, ControlSocket::Handler handler) {
  const std::string path = control_path(*ground.config);
  if (ground.resume) return {loop, path, ground.resume->control_fd, std::move(handler)};
  try {
    return {loop, path, std::move(handler)};
  } catch (const ConfigurationError& error) {
    throw ConfigurationError(fmt::format("control {} (--control, --runtime-dir)", error.what()));
  }
}

std::string redis_mode(const Config& config) {
  return config.redis == "embedded" || config.redis == "none" ? config.redis : "server";
}

}  // namespace

SupervisorProcess::SupervisorProcess(uv_loop_t* loop, Ground& ground, const SupervisorHooks& hooks)
    : loop_(loop),
      ground_(ground),
      hooks_(hooks),
      began_ms_(monotonic_ms()),
      children_(loop),
      control_(make_control(
          loop, ground, [this](const std::string& line, const ControlSocket::Reply& reply) { command(line, reply); })),
      symbolizer_(loop, children_, ground.program),
      reports_(symbolizer_),
      workers_({loop, ground.program, ground.board, children_, ground.listeners, ground.admin_listeners.get(),
                passes_connections(ground.config->balance), &reports_},
               {1, ground.config, ground.app},
               {[this](const WorkerEntry& worker) {
                  tell_waiting();
                  recycler_.on_ready(worker);
                  rollouts_.on_ready(worker);
                  schedule();
                },
                [this](const WorkerEntry& worker, const std::string& reason) { worker_exited(worker, reason); },
                [this](const std::string& reason) { cannot_start(reason); },
                [this](int pid, std::uint64_t ticket) {
                  if (dispatcher_) dispatcher_->accepted(pid, ticket);
                },
                [this](const std::string& request) { request_killed(request); },
                [this](const Message& message) { quarantine_message(message); }}),
      stalls_(workers_, ground.board, children_, symbolizer_),
      check_(loop, children_, ground.program, ground.board.fd()),
      rollouts_(workers_, check_, ground.board, hooks, {1, ground.config, std::move(ground.app)},
                {[this](const Config& config) { rollout_complete(config); }}),
      recycler_(workers_, ground.board),
      sampler_(ground.board),
      quarantine_(ground.board.quarantine()),
      due_(loop, [this] { advance(); }),
      tick_(loop, [this] { tick(); }),
      stall_tick_(loop, [this] { stalls_.look(monotonic_ms()); }) {
  if (ground.config->redis == "embedded") {
    redis_.emplace(loop, children_, ground.program, *ground.config, ground.redis_lock);
  }
  if (passes_connections(ground.config->balance)) {
    dispatcher_.emplace(loop, *ground.config, ground.listeners, workers_, ground.board, sampler_);
  }
  autoscaler_.set_bounds(ground.config->min_workers, ground.config->max_workers);
  watch_signals();
}

void SupervisorProcess::watch_signals() {
  const auto on = [this](int number, auto&& callback) {
    signals_.push_back(std::make_unique<Signal>(loop_, number, callback));
  };
  on(SIGTERM, [this] { drain(); });
  on(SIGINT, [this] { interrupted(); });
  on(SIGQUIT, [this] {
    symbolizer_.cancel();
    stop_now();
  });
  on(SIGHUP, [this] {
    restore_control();
    reload({});
  });
  on(SIGUSR1, [this] { reopen_logs(); });
  on(SIGUSR2, [this] { replace_program(); });
  on(SIGTTIN, [this] { scale_by(1); });
  on(SIGTTOU, [this] { scale_by(-1); });
}

int SupervisorProcess::run() {
  describe_server();
  tick_.start(Milliseconds(1'000), Milliseconds(1'000));
  watch_for_stalls(ground_.config->stall_threshold);
  if (ground_.resume) {
    resume();
  } else {
    begin();
  }
  uv_run(loop_, UV_RUN_DEFAULT);
  control_.remove_file();
  return status_;
}

void SupervisorProcess::describe_server() {
  ServerRow& server = ground_.board.server();
  std::vector<std::string> addresses;
  for (const Address& address : ground_.listeners.addresses()) addresses.push_back(address.text);
  server.listen.set(fmt::format("{}", fmt::join(addresses, "\n")));
  server.redis_mode.set(redis_mode(*ground_.config));
  server.pid.store(static_cast<std::uint32_t>(::getpid()));
  server.started_ms.store(ground_.resume ? ground_.resume->started_ms : began_ms_);
  server.generation.store(ground_.resume ? ground_.resume->generation : 1);
}

// --- Starting -------------------------------------------------------------------------------------------------------

void SupervisorProcess::begin() {
  if (redis_) {
    redis_->start([this] { start_workers(); });  // first, so that no worker waits for it
  } else {
    start_workers();
  }
}

void SupervisorProcess::start_workers() {
  if (phase_ != Phase::starting) return;
  phase_ = Phase::running;
  if (const auto scaled = workers_.scale(ground_.config->min_workers); !scaled) return cannot_start(scaled.error());
  schedule();
}

// The line that says it all, once every slot has had a ready worker.
void SupervisorProcess::announce() {
  announced_ = true;
  std::vector<std::string> urls;
  for (const Address& address : ground_.listeners.addresses()) urls.push_back(address.url());
  std::vector<std::string> parts{
      fmt::format("{} worker{}", workers_.slots().target(), workers_.slots().target() == 1 ? "" : "s"),
      "redis " + redis_mode(*ground_.config)};
  if (ground_.admin_listeners) parts.push_back("admin on " + ground_.admin_listeners->addresses().front().url());
  log_info(fmt::format("listening on {} with {}, pid {}, ready in {} ms", fmt::join(urls, " and "),
                       fmt::join(parts, ", "), ::getpid(), monotonic_ms() - began_ms_));
}

// --- What is due ----------------------------------------------------------------------------------------------------

void SupervisorProcess::advance() {
  const std::uint64_t rollout = rollouts_.advance();
  std::uint64_t next = workers_.advance();
  if (rollout != 0 && (next == 0 || rollout < next)) next = rollout;
  if (dispatcher_) dispatcher_->advance();
  exec_when_flushed();
  if (!announced_ && phase_ == Phase::running && workers_.slots().ready_slots() == workers_.slots().target())
    announce();
  finish_when_empty();
  if (exec_by_ms_ != 0) return due_.start(Milliseconds(10));
  if (next == 0) return due_.stop();
  const std::uint64_t now = monotonic_ms();
  due_.start(Milliseconds(next > now ? static_cast<std::int64_t>(next - now) : 1));
}

void SupervisorProcess::tick() {
  children_.reap();
  workers_.watch();
  reports_.sample(monotonic_ms());
  if (redis_) redis_->watch();
  sampler_.sample(workers_.slots(), monotonic_ms());
  quarantine_.tick(monotonic_ms());
  if (announced_ && phase_ == Phase::running && autoscaler_.active()) {
    const std::uint32_t target = workers_.slots().target();
    const std::uint32_t better = autoscaler_.update(sampler_.utilisations(), target, monotonic_ms());
    if (better != target) {
      const auto scaled = workers_.scale(better);
      log_info(scaled ? fmt::format("scaled from {} to {} workers", target, *scaled) : scaled.error());
    }
  }
  if (announced_ && phase_ == Phase::running && !rollouts_.busy() && !replacing_program_) {
    recycler_.tick(monotonic_ms());
  }
  schedule();
}

void SupervisorProcess::watch_for_stalls(Milliseconds threshold) {
  if (threshold.count() == 0) return stall_tick_.stop();
  const Milliseconds period = StallWatch::period(threshold);
  stall_tick_.start(period, period);
}

void SupervisorProcess::worker_exited(const WorkerEntry& worker, const std::string& reason) {
  if (dispatcher_) dispatcher_->worker_gone(worker.pid);
  recycler_.on_exit(worker);
  rollouts_.on_exit(worker, reason);
  schedule();
}

void SupervisorProcess::cannot_start(const std::string& reason) {
  if (phase_ == Phase::draining || phase_ == Phase::stopping) return;
  log_error(fmt::format("the application cannot start: {}", reason));
  status_ = kExitApplication;
  stop_now();
}

void SupervisorProcess::rollout_complete(const Config& config) {
  try {
    open_log({config.log_format, config.log_level, config.log_file, "supervisor"});
  } catch (const std::exception& error) {
    log_error(error.what());
  }
  // Back to the option, whatever was set by hand.
  set_by_hand_ = false;
  watch_for_stalls(config.stall_threshold);
  autoscaler_.set_bounds(config.min_workers, config.max_workers);
  const std::uint32_t before = workers_.slots().target();
  const auto scaled = workers_.scale(std::clamp(before, config.min_workers, config.max_workers));
  if (!scaled) {
    log_error(scaled.error());
  } else if (*scaled != before) {
    log_info(fmt::format("scaled from {} to {} workers, as configured", before, *scaled));
  }
  schedule();
}

// --- Ending ---------------------------------------------------------------------------------------------------------

void SupervisorProcess::drain() {
  if (phase_ == Phase::draining || phase_ == Phase::stopping) return;
  phase_ = Phase::draining;
  ground_.board.server().draining.store(1);
  log_info("stopping: what is running is finished first",
           {{"drain_delay_ms", rollouts_.launch().config->drain_delay.count()},
            {"drain_timeout_ms", rollouts_.launch().config->drain_timeout.count()}});
  rollouts_.cancel("the server is stopping");
  if (replacing_program_) check_.cancel();
  workers_.drain_all();
  schedule();
}

void SupervisorProcess::interrupted() {
  if (phase_ == Phase::draining || phase_ == Phase::stopping) {
    symbolizer_.cancel();
    stop_now();
  } else {
    drain();
  }
}

void SupervisorProcess::stop_now() {
  if (closing_redis_ && redis_) redis_->kill();  // it is all that is still waited for
  if (phase_ == Phase::stopping) return;
  phase_ = Phase::stopping;
  ground_.board.server().draining.store(1);
  log_info("stopping now");
  rollouts_.cancel("the server is stopping");
  if (replacing_program_) check_.cancel();
  workers_.stop_all();
  schedule();
}

// In this order: workers, admin process, Redis. Nobody is left when the loop ends.
void SupervisorProcess::finish_when_empty() {
  if (phase_ != Phase::draining && phase_ != Phase::stopping) return;
  if (workers_.count_without_admin() > 0 || closing_redis_) return;
  if (dispatcher_) dispatcher_.reset();
  ground_.listeners.close();  // nobody would ever answer
  if (workers_.slots().current(kAdminSlot) != nullptr) return workers_.stop_admin();
  const std::size_t redis = redis_ && redis_->pid() != 0 ? 1 : 0;
  if (children_.count() > redis) {  // a check that was cancelled, or stacks that are being read
    if (alone_since_ms_ == 0) alone_since_ms_ = monotonic_ms();
    if (monotonic_ms() - alone_since_ms_ > kStackLimitMs) symbolizer_.cancel();
    return;
  }
  closing_redis_ = true;
  const auto stopped = [this] {
    log_info("stopped");
    uv_stop(loop_);
  };
  if (redis_) return redis_->stop(stopped, phase_ == Phase::stopping ? kStopNowLimit : EmbeddedRedis::kStopLimit);
  stopped();
}

// --- Requests from outside ------------------------------------------------------------------------------------------

void SupervisorProcess::reload(Rollouts::Waiter waiter, std::optional<Milliseconds> canary) {
  if (may_roll_out(waiter)) rollouts_.request(std::move(waiter), canary);
}

void SupervisorProcess::rollback(Rollouts::Waiter waiter) {
  if (may_roll_out(waiter)) rollouts_.rollback(std::move(waiter));
}

// When not, tells the waiter.
bool SupervisorProcess::may_roll_out(const Rollouts::Waiter& waiter) {
  if (phase_ == Phase::running && announced_ && !replacing_program_) return true;
  const bool stopping = phase_ == Phase::draining || phase_ == Phase::stopping;
  const std::string reason = stopping     ? "the server is stopping"
                             : announced_ ? "the supervisor's program is being replaced"
                                          : "the server is still starting";
  log_warning("no rollout: " + reason);
  if (waiter.checked) waiter.checked(reason);
  if (waiter.finished) waiter.finished(reason);
  return false;
}

// Without its file no command reaches us any more, but signals do.
void SupervisorProcess::restore_control() {
  try {
    control_.restore_file();
  } catch (const std::exception& error) {
    log_error(fmt::format("the control socket stays unreachable: {}", error.what()));
  }
}

void SupervisorProcess::reopen_logs() {
  reopen_log();
  workers_.send_all({MessageKind::reopen_logs, 0, {}});
  log_info("log files were opened again");
}

// By hand: it stays until the next reload, also where the autoscaler would choose another number.
std::expected<std::uint32_t, std::string> SupervisorProcess::set_workers(std::int64_t number) {
  const std::uint32_t before = workers_.slots().target();
  const auto scaled = workers_.scale(number);
  if (!scaled) return scaled;
  const bool was_automatic = autoscaler_.active();
  set_by_hand_ = true;
  autoscaler_.set_bounds(*scaled, *scaled);
  if (*scaled != before) log_info(fmt::format("scaled from {} to {} workers", before, *scaled));
  if (was_automatic) log_info("autoscaling is off until the next reload");
  schedule();
  return scaled;
}

void SupervisorProcess::scale_by(int step) {
  if (phase_ != Phase::running) return;
  const auto scaled = set_workers(static_cast<std::int64_t>(workers_.slots().target()) + step);
  if (!scaled) log_error(scaled.error());
}

}  // namespace pronghorn::supervisor
