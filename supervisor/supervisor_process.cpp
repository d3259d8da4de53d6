#include "supervisor/supervisor_process.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <exception>
#include <utility>

#include "common/log.h"
#include "supervisor/server_facts.h"
#include "supervisor/system/exit_status.h"
#include "supervisor/upgrade/resume_state.h"
#include "supervisor/workers/leaving_workers.h"

namespace pronghorn::supervisor {
namespace {

constexpr std::uint64_t kLookAgainMs = 10;
constexpr Milliseconds kTlsPeriod{60'000};  // of looking at certificates and ticket keys

ControlSocket make_control(uv_loop_t* loop, const Ground& ground, ControlSocket::Handler handler) {
  const std::string path = control_path(*ground.config);
  if (ground.resume) return {loop, path, ground.resume->control_fd, std::move(handler)};
  try {
    return {loop, path, std::move(handler)};
  } catch (const ConfigurationError& error) {
    throw ConfigurationError(fmt::format("control {} (--control, --runtime-dir)", error.what()));
  }
}

std::uint64_t earlier(std::uint64_t a, std::uint64_t b) noexcept { return a == 0 || b == 0 ? a + b : std::min(a, b); }

bool has_control_in_runtime_dir(const Config& config) {
  return control_path(config).starts_with(config.runtime_dir + "/");
}

}  // namespace

SupervisorProcess::SupervisorProcess(uv_loop_t* loop, Ground& ground, const SupervisorHooks& hooks)
    : loop_(loop),
      ground_(ground),
      began_ms_(monotonic_ms()),
      report_(manager_, ground.listeners),
      children_(loop, [this] { schedule(); }),
      control_(make_control(
          loop, ground,
          [this](const std::string& line, const ControlSocket::Reply& reply) { commands_.run(line, reply); })),
      symbolizer_(loop, children_, ground.program),
      reporter_(symbolizer_),
      workers_({.loop = loop,
                .program = ground.program,
                .board = ground.board,
                .children = children_,
                .listeners = ground.listeners,
                .admin_listeners = ground.admin_listeners.get(),
                .handoff = ground.handoff,
                .passes_connections = passes_connections(ground.config->balance),
                .reporter = &reporter_,
                .ticket_keys = ground.ticket_keys ? &*ground.ticket_keys : nullptr},
               {.generation = 1, .config = ground.config, .app = ground.app, .tls = ground.tls}, worker_callbacks()),
      socket_files_({.control = control_,
                     .runtime_dir = has_control_in_runtime_dir(*ground.config) ? ground.config->runtime_dir : "",
                     .listeners = ground.listeners,
                     .admin = ground.admin_listeners.get(),
                     .workers = workers_,
                     .report = report_,
                     .passes_connections = passes_connections(ground.config->balance)}),
      stalls_(workers_, ground.board, children_, symbolizer_),
      full_(workers_, ground.board),
      certificates_(ground.board.server()),
      check_(loop, children_, ground.program, ground.board.fd()),
      rollouts_(workers_, check_, ground.board, hooks,
                {.generation = 1, .config = ground.config, .app = std::move(ground.app), .tls = ground.tls},
                {.on_complete = [this](const Config& config) { rollout_complete(config); }}),
      recycler_(workers_, ground.board),
      relay_(workers_, ground.board),
      sampler_(ground.board),
      history_(ground.board),
      scaling_(workers_, sampler_),
      quarantine_(workers_, ground.board.quarantine()),
      jobs_(workers_),
      job_query_(loop, workers_),
      requests_(loop, workers_, ground.board),
      commands_(ground.board, rollouts_, quarantine_, control_actions()),
      program_files_(own_files(ground.program)),
      replacement_(loop, children_,
                   {.program = ground.program,
                    .board = ground.board,
                    .listeners = ground.listeners,
                    .admin_listeners = ground.admin_listeners.get(),
                    .handoff = ground.handoff,
                    .ticket_keys = ground.ticket_keys,
                    .locks = ground.locks,
                    .control = control_,
                    .symbolizer = symbolizer_,
                    .check = check_,
                    .workers = workers_,
                    .rollouts = rollouts_,
                    .scaling = scaling_,
                    .redis = redis_},
                   hooks, [this] { schedule(); }),
      shutdown_({.loop = loop,
                 .workers = workers_,
                 .handoff = ground.handoff,
                 .children = children_,
                 .symbolizer = symbolizer_,
                 .redis = redis_,
                 .distributes = passes_connections(ground.config->balance),
                 .close_listeners = [this] { report_.close_listeners(); }}),
      due_(loop, [this] { advance(); }),
      tick_(loop, [this] { tick(); }),
      memory_tick_(loop, [this] { watch_memory(); }),
      stall_tick_(loop, [this] { look_for_unable(); }),
      tls_tick_(loop, [this] { watch_tls(); }),
      watchdog_(loop, [this] { manager_.alive(); }) {
  if (ground.config->redis == "embedded") {
    redis_.emplace(loop, children_, ground.program, *ground.config, ground.locks.redis);
  }
  if (passes_connections(ground.config->balance)) distribution_.emplace(workers_);
  watch_signals();
}

Workers::Callbacks SupervisorProcess::worker_callbacks() {
  return {.on_ready = [this](const WorkerEntry& worker) { worker_ready(worker); },
          .on_exit = [this](const WorkerEntry& worker, const std::string& reason) { worker_exited(worker, reason); },
          .on_cannot_start = [this](const std::string& reason) { cannot_start(reason); },
          .on_unlinked =
              [this](int distributor, int worker) {
                if (!distribution_) return;
                distribution_->unlinked(distributor, worker);
                schedule();
              },
          .on_listener_missed = [this](int pid) { socket_files_.missed(pid); },
          .on_relay_unlinked =
              [this](int worker, int relay) {
                relay_.unlinked(worker, relay);
                schedule();
              },
          .on_killed = [this](const std::string& request,
                              std::uint64_t client) { quarantine_.killed(request, client, monotonic_ms()); },
          .on_ended = [this](const EndedIncarnation& worker) { jobs_.ended(worker); },
          .on_quarantine = [this](int pid, const ChannelMessage& message) { quarantine_.received(pid, message); },
          .on_requests = [this](const ChannelMessage& message) { requests_.received(message); },
          .on_jobs = [this](const ChannelMessage& message) { job_query_.received(message); }};
}

ControlCommands::Actions SupervisorProcess::control_actions() {
  return {.scale = [this](std::int64_t workers, bool relative) { return scale(workers, relative); },
          .reload = [this](Rollouts::Waiter waiter,
                           std::optional<Milliseconds> canary) { reload(std::move(waiter), canary); },
          .rollback = [this](Rollouts::Waiter waiter) { rollback(std::move(waiter)); },
          .upgrade = [this](ProgramReplacement::Waiter waiter) { replace_program(std::move(waiter)); },
          .upgrade_result =
              [this](ProgramReplacement::ResultWaiter waiter) { replacement_.wait_for_result(std::move(waiter)); },
          .stop = [this] { drain(); },
          .set_log_level = [this](const std::string& level) { return change_log_level(level); },
          .list_requests = [this](const ControlSocket::Reply& reply) { requests_.list(reply); },
          .jobs = [this](const std::string& command,
                         const ControlSocket::Reply& reply) { job_query_.run(command, reply); }};
}

void SupervisorProcess::watch_signals() {
  const auto on = [this](int number, auto&& callback) {
    signals_.push_back(std::make_unique<Signal>(loop_, number, callback));
  };
  const auto step = [this](std::int64_t by) {
    if (const auto scaled = scale(by, true); !scaled) log_error(scaled.error());
  };
  on(SIGTERM, [this] { drain(); });
  on(SIGINT, [this] { interrupted(); });
  on(SIGQUIT, [this] {
    symbolizer_.cancel();
    stop_now();
  });
  on(SIGHUP, [this] {
    socket_files_.look();
    reload({});
  });
  on(SIGUSR1, [this] { reopen_logs(); });
  on(SIGUSR2, [this] { replace_program({}); });
  on(SIGTTIN, [step] { step(1); });
  on(SIGTTOU, [step] { step(-1); });
}

int SupervisorProcess::run() {
  ServerRow& server = ground_.board.server();
  describe_server(server, ground_);
  server.started_ms.store(ground_.resume ? ground_.resume->started_ms : began_ms_);
  server.generation.store(ground_.resume ? ground_.resume->generation : 1);
  tick_.start(Milliseconds(1'000), Milliseconds(1'000));
  memory_tick_.start(Recycler::kMemoryPeriod);
  watch_for_stalls(ground_.config->stall_threshold);
  if (const Milliseconds period = manager_.watchdog_period(); period.count() > 0) watchdog_.start(period, period);
  if (ground_.ticket_keys) {
    certificates_.use(ground_.tls, std::time(nullptr));
    tls_tick_.start(kTlsPeriod, kTlsPeriod);
  }
  if (ground_.resume) {
    resume();
  } else {
    begin();
  }
  uv_run(loop_, UV_RUN_DEFAULT);
  control_.remove_file();
  block_signals(true);  // whose handlers end with this object
  return status_;
}

// --- Starting -------------------------------------------------------------------------------------------------------

// Redis first, so that no worker has to wait for it.
void SupervisorProcess::begin() {
  if (redis_) {
    redis_->start([this] { start_workers(); });
  } else {
    start_workers();
  }
}

void SupervisorProcess::start_workers() {
  if (phase_ != Phase::starting) return;
  phase_ = Phase::running;
  if (const auto started = scaling_.start(*ground_.config); !started) return cannot_start(started.error());
  schedule();
}

void SupervisorProcess::resume() {
  phase_ = Phase::running;
  announced_ = true;
  replacement_.resume(*ground_.resume, {.generation = ground_.resume->generation,
                                        .config = ground_.config,
                                        .app = rollouts_.launch().app,
                                        .tls = ground_.tls});
  block_signals(false);
  reload({.checked = {}, .finished = [this](const std::string& error) { replacement_.rollout_ended(error); }});
  schedule();
}

bool SupervisorProcess::all_ready() const noexcept {
  const Slots& slots = workers_.slots();
  const bool distributes = !distribution_ || slots.ready_worker(kDistributorSlot) != nullptr;
  return distributes && slots.ready_slots() == slots.target();
}

std::string SupervisorProcess::status_line() const {
  const Slots& slots = workers_.slots();
  return fmt::format("{} of {} workers ready, generation {}", slots.ready_slots(), slots.target(),
                     rollouts_.launch().generation);
}

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
  report_.keep_listeners();
  // Also when the server ends in order: a restart of the service continues with them.
  if (ground_.ticket_keys) manager_.keep(ground_.ticket_keys->fd(), kTicketKeysName);
  manager_.ready(status_line());
}

// --- Running --------------------------------------------------------------------------------------------------------

void SupervisorProcess::advance() {
  std::uint64_t next = rollouts_.advance();
  next = earlier(next, workers_.advance());
  if (distribution_ && !stopping()) next = earlier(next, distribution_->advance());
  if (has_relay()) next = earlier(next, relay_.advance());
  next = earlier(next, replacement_.advance());
  if (announced_ && !stopping()) report_.update(rollouts_.busy(), status_line());
  if (!announced_ && phase_ == Phase::running && all_ready()) announce();
  const std::uint64_t now = monotonic_ms();
  if (stopping()) {
    const auto mode = phase_ == Phase::stopping ? Shutdown::Mode::now : Shutdown::Mode::in_order;
    if (shutdown_.advance(mode)) next = earlier(next, now + kLookAgainMs);
  }
  if (next == 0) return due_.stop();
  due_.start(Milliseconds(next > now ? static_cast<std::int64_t>(next - now) : 1));
}

void SupervisorProcess::tick() {
  const std::uint64_t now = monotonic_ms();
  children_.reap();
  workers_.watch();
  reporter_.sample(now);
  if (redis_) redis_->watch();
  if (!stopping()) socket_files_.look();
  sampler_.sample(workers_.slots(), now);
  history_.tick(now, static_cast<std::uint64_t>(std::time(nullptr)));
  quarantine_.tick(now);
  if (const auto path = program_files_.replaced()) {
    log_warning(
        fmt::format("{} was replaced: workers that start from now on are of another build than the supervisor; "
                    "run \"pronghorn upgrade\"",
                    *path));
  }
  flush_log();
  add(ground_.board.server()[Count::log_lines_dropped], take_dropped_log_lines());
  if (announced_ && !stopping()) report_.keep_listeners();
  manager_.flush();
  if (announced_ && phase_ == Phase::running) {
    scaling_.tick(now);
    if (!rollouts_.busy() && !replacement_.busy()) recycler_.tick(now);
  }
  schedule();
}

void SupervisorProcess::watch_memory() {
  Milliseconds next = Recycler::kMemoryPeriod;
  if (announced_ && phase_ == Phase::running) {
    next = recycler_.watch_memory(monotonic_ms(), !rollouts_.busy() && !replacement_.busy());
  }
  memory_tick_.start(next);
  if (next < Recycler::kMemoryPeriod) schedule();
}

void SupervisorProcess::watch_tls() {
  certificates_.tick(std::time(nullptr));
  try {
    if (ground_.ticket_keys->rotate(TicketKeys::now())) log_debug("TLS session tickets have a new key");
  } catch (const std::exception& error) {
    log_error(error.what());
  }
}

void SupervisorProcess::watch_for_stalls(Milliseconds threshold) {
  const Milliseconds period = StallWatch::period(threshold);
  stall_tick_.start(period, period);
}

void SupervisorProcess::look_for_unable() {
  const std::uint64_t now = monotonic_ms();
  const bool still_changed = workers_.set_still(stalls_.look(now));
  const bool full_changed = workers_.set_full(full_.look(now));
  const bool replaced = retire_leaving(workers_, ground_.board);
  if (still_changed || full_changed || replaced) schedule();
}

void SupervisorProcess::worker_ready(const WorkerEntry& worker) {
  quarantine_.worker_ready();
  if (is_worker_slot(worker.slot) || is_job_slot(worker.slot)) jobs_.worker_ready(worker.pid);
  if (!log_level_.empty()) workers_.send(worker.pid, {MessageKind::log_level, 0, log_level_});
  socket_files_.ready(worker);
  recycler_.on_ready(worker);
  rollouts_.on_ready(worker);
  schedule();
}

void SupervisorProcess::worker_exited(const WorkerEntry& worker, const std::string& reason) {
  if (distribution_) distribution_->gone(worker);
  quarantine_.worker_gone(worker.pid);
  recycler_.on_exit(worker);
  rollouts_.on_exit(worker, reason);
  schedule();
}

void SupervisorProcess::cannot_start(const std::string& reason) {
  if (stopping()) return;
  log_error(fmt::format("the application cannot start: {}", reason));
  manager_.status("the application cannot start: " + reason);
  status_ = kExitApplication;
  stop_now();
}

void SupervisorProcess::rollout_complete(const Config& config) {
  try {
    open_log({config.log_format, config.log_level, config.log_file, "supervisor"});
  } catch (const std::exception& error) {
    log_error(error.what());
  }
  describe_redis(ground_.board.server(), config);
  if (ground_.ticket_keys) certificates_.use(rollouts_.launch().tls, std::time(nullptr));
  log_level_.clear();
  watch_for_stalls(config.stall_threshold);
  scaling_.reconfigure(config);
  schedule();
}

// --- Stopping -------------------------------------------------------------------------------------------------------

void SupervisorProcess::drain() {
  if (stopping()) return;
  phase_ = Phase::draining;
  const Config& config = *rollouts_.launch().config;
  log_info("stopping: finishing requests in flight",
           {{"drain_delay_ms", config.drain_delay.count()}, {"drain_timeout_ms", config.drain_timeout.count()}});
  begin_stop();
  workers_.drain_all();
  schedule();
}

// A second SIGINT does not wait for requests.
void SupervisorProcess::interrupted() {
  if (!stopping()) return drain();
  symbolizer_.cancel();
  stop_now();
}

void SupervisorProcess::stop_now() {
  shutdown_.hurry();  // Redis may be the last child, and take too long
  if (phase_ == Phase::stopping) return;
  phase_ = Phase::stopping;
  log_info("stopping now");
  begin_stop();
  workers_.stop_all();
  schedule();
}

void SupervisorProcess::begin_stop() {
  ground_.board.server().draining.store(1);
  manager_.stopping("finishing requests in flight");
  rollouts_.cancel("the server is stopping");
  replacement_.cancel();
}

}  // namespace pronghorn::supervisor
