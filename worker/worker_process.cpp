#include "worker/worker_process.h"

#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>

#include <exception>
#include <functional>
#include <stdexcept>
#include <utility>

#include "common/config/redis_url.h"
#include "common/ipc/status/fleet.h"
#include "common/log.h"
#include "common/signals.h"
#include "pronghorn/concurrent.h"
#include "pronghorn/timer.h"
#include "worker/process/child_programs.h"
#include "worker/process/crash/crash_handler.h"
#include "worker/process/crash/modules.h"
#include "worker/run_worker.h"
#include "worker/runtime/plugin_loader.h"
#include "worker/state/idempotency/holder.h"
#include "worker/state/name_claim.h"

namespace pronghorn::worker {
namespace {

using namespace std::chrono_literals;

// For requests in flight, when the supervisor has died; shorter than the time after which the process is ended.
constexpr std::chrono::seconds kOrphanGrace = 4s;

std::string what_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& exception) {
    const char* const text = exception.what();
    return text != nullptr ? text : "an exception without a text";
  } catch (...) {
    return "an exception that is not a std::exception";
  }
}

// When Redis came up, as seconds since 1970, if other workers are connected to the same one; else 0.
std::uint64_t redis_up_since(const Scoreboard& board, const Config& config) {
  const std::string address = redis_address(config);
  if (address == "none" || display_redis_url(parse_redis_url(address)) != board.server().redis_address.get()) return 0;
  const FleetRedis redis = fleet_redis(board);
  return redis.state == RedisState::up ? redis.since_at : 0;
}

}  // namespace

WorkerProcess::WorkerProcess(Handover handover, Scoreboard& board, Survival* survival, void (*setup)(App&))
    : handover_(std::move(handover)),
      config_(handover_.config),
      board_(board),
      row_(board_.worker(handover_.slot, handover_.row)),
      survival_(survival),
      setup_(setup),
      messages_({.slot = handover_.slot,
                 .channel = channel_,
                 .state = state_,
                 .sockets = sockets_,
                 .quarantine = quarantine_,
                 .http = http_,
                 .listeners = listeners_,
                 .passed = passed_},
                {.drain = [this](std::chrono::milliseconds delay) { drain(delay); }, .stop = [this] { stop_now(); }}) {}

StateServices& WorkerProcess::services() {
  if (!state_ || state_->redis == nullptr) throw std::logic_error("this server runs with --redis none");
  return *state_;
}

int WorkerProcess::run() {
  take_row(row_);
  row_.redis_since_at.store(redis_up_since(board_, config_));
  row_.incarnation.set(name_this_process());
  copy_log_to(&row_.log, &row_.unwritten_log_lines);
  record_modules(row_.modules);
  install_crash_handler(row_);
  if (survival_) blame_requests_in(&survival_->ledger());
  ::setenv("UV_THREADPOOL_SIZE", std::to_string(config_.offload_threads).c_str(), 1);
  uv_loop_init(&loop_);
  uv_loop_configure(&loop_, UV_METRICS_IDLE_TIME);
  runtime_.emplace(&loop_);
  channel_.emplace(
      &loop_, kChannelFd,
      Channel::Callbacks{[this](const ChannelMessage& message, int fd) { messages_.received(message, fd); },
                         [this] { supervisor_gone(); }});
  tell_guardian();
  leave_timer_ = make_uv<uv_timer_t>(&loop_, uv_timer_init, this);
  watch_for_term();

  booting_ = boot();
  booting_.start();
  uv_run(&loop_, UV_RUN_DEFAULT);
  close_handles();
  return status_;
}

void WorkerProcess::watch_for_term() {
  auto signal = std::make_unique<uv_signal_t>();
  int error = uv_signal_init(&loop_, signal.get());
  if (error == 0) {
    terminate_.reset(signal.release());
    terminate_->data = this;
    const auto drain_now = [](uv_signal_t* handle, int) {
      if (handle->data != nullptr) static_cast<WorkerProcess*>(handle->data)->drain(0ms);
    };
    error = uv_signal_start(terminate_.get(), drain_now, SIGTERM);
  }
  if (error != 0) throw std::runtime_error(fmt::format("cannot watch for SIGTERM: {}", uv_strerror(error)));
}

void WorkerProcess::tell_guardian() {
  if (!survival_) return;
  const auto& guardian = survival_->guardian();
  channel_->send({MessageKind::guardian, static_cast<std::uint64_t>(guardian.value_or(0)),
                  guardian ? std::string() : guardian.error()});
}

// The function that fills the application: the program's own or the plugin's. The admin process has none.
auto WorkerProcess::find_setup() const -> void (*)(App&) {
  if (handover_.admin) return [](App&) {};
  return setup_ != nullptr ? setup_ : load_plugin(config_.app, config_.app_file);
}

// Whether what Redis rejects is an outage, not a mistake that a start must report: workers of this generation have served
// before, and none of them has a connection any more. Then most requests are better served by one without.
bool WorkerProcess::must_serve() const {
  return board_.server().generation.load() == handover_.generation &&
         board_.slot(handover_.slot)[Count::restarts].load() > 0 && fleet_redis(board_).state != RedisState::up;
}

// Everything that must happen before the first request, in order.
Task<void> WorkerProcess::boot() {
  std::exception_ptr error;
  try {
    if (!handover_.admin) {
      state_.emplace(&loop_, config_, row_, handover_.slot,
                     StateServices::Machine{.leases = &board_.leases(), .has_relay = true});
      follow_relays();
      std::function<void(std::string)> refused;
      if (!must_serve()) refused = [this](std::string reason) { refused_by_redis(std::move(reason)); };
      state_->start(std::move(refused));
    }
    const auto setup = find_setup();
    record_modules(row_.modules);  // the plugin's too, before its own code runs
    application_.emplace(config_, row_, setup);
    sockets_.emplace(row_, state_ && state_->redis ? &*state_ : nullptr, *this);
    application_->add_routes_to(*sockets_);
    heartbeat_.emplace(&loop_, row_, config_.worker_timeout, config_.stall_threshold);
    // A wrong password is a configuration error and must be reported before the worker is ready. If Redis is down,
    // waits no longer than one connection attempt takes.
    while (row_.redis_state.load() == RedisState::connecting && redis_refusal_.empty()) co_await sleep_for(2ms);
    if (!redis_refusal_.empty()) throw std::runtime_error(redis_refusal_);
    if (state_ && state_->redis) co_await claim_name(*state_->redis, config_);
    co_await application_->start(*this);
    if (!handover_.admin) {
      quarantine_.emplace(*application_, board_.quarantine(), row_, state_->redis.get(), config_,
                          [this](const ChannelMessage& message) { channel_->send(message); });
      co_await quarantine_->sync();
      quarantine_->start();
    }
    begin_accepting();
    application_->start_jobs();
  } catch (...) {
    error = std::current_exception();
  }
  if (error) cannot_start(what_of(error));
}

void WorkerProcess::refused_by_redis(std::string reason) {
  redis_refusal_ = std::move(reason);
  if (row_.phase.load() == WorkerPhase::booting) return;  // boot() says so
  log_error("Redis refuses the connection; check the password and the database in --redis",
            {{"error", redis_refusal_}});
}

void WorkerProcess::cannot_start(const std::string& reason) {
  status_ = kExitCannotStart;
  channel_->send({MessageKind::failed, 0, reason});
  uv_stop(&loop_);
}

void WorkerProcess::begin_accepting() {
  if (has_certificates(handover_)) tls_.emplace(handover_, row_, survival_ != nullptr);
  if (config_.redirect_http && !handover_.admin) {
    redirect_.emplace(*application_, https_port(board_.server().listen.get()));
  }
  RequestHandler& next = redirect_ ? static_cast<RequestHandler&>(*redirect_) : *application_;
  admin_.emplace(config_, board_, row_, next, [this] { return readiness(); });
  // Probes and monitors connect to the admin process directly, not through the proxy.
  if (handover_.admin) config_.proxy_protocol.clear();
  http_.emplace(&loop_, config_, *admin_, state_ ? &*state_ : nullptr, row_, survival_);
  http_->use_sockets(*sockets_);
  if (tls_) http_->use_tls(tls_->service());
  passed_.emplace(&loop_, *http_, [this] {
    if (drain_) drain_->check_empty();
  });
  const Relay* const relay = state_ ? state_->relay.get() : nullptr;
  if (relay != nullptr) {
    state_->relay->on_peers_gone([this] {
      if (drain_) drain_->check_empty();
    });
  }
  drain_.emplace(
      Drain::Parts{.loop = &loop_,
                   .server = board_.server(),
                   .row = row_,
                   .http = *http_,
                   .passed = *passed_,
                   .relay = relay,
                   .runtime = *runtime_,
                   .timeout = config_.drain_timeout},
      Drain::Callbacks{.begins = [this] { spawn(application_->drain(*this)); }, .ended = [this] { begin_leaving(); }});
  http_->on_empty([this] {
    if (drain_) drain_->check_empty();
  });
  runtime_->on_idle([this] {
    if (drain_) drain_->check_empty();
  });
  application_->use_admission(http_->admission());
  heartbeat_->on_long_turn([this](std::uint64_t began_ms, std::uint64_t ended_ms) {
    if (http_) http_->turn_was_long(began_ms, ended_ms);
  });
  report_requests_of(&http_->exchanges());
  record_modules(row_.modules);  // and what the application has loaded itself
  listeners_.emplace(handover_, *http_);
  listeners_->listen_to_own();
  if (!is_job_slot(handover_.slot)) http_->take_connections();
  row_.phase.store(WorkerPhase::ready);
  channel_->send({MessageKind::ready, 0, {}});
}

void WorkerProcess::follow_relays() {
  if (state_->relay_link == nullptr) return;
  state_->relay_link->on_unlinked(
      [this](std::uint64_t relay) { channel_->send({MessageKind::relay_unlinked, relay, {}}); });
}

// The supervisor was killed or has crashed: nobody would restart this worker or take over its listeners.
void WorkerProcess::supervisor_gone() {
  log_error("the supervisor has died: draining and exiting");
  if (survival_) survival_->supervisor_gone();
  drain(0ms);
  if (drain_) drain_->hurry(kOrphanGrace);
}

void WorkerProcess::drain(std::chrono::milliseconds delay) {
  if (!drain_) return cut();
  drain_->begin(delay);
}

// The supervisor does not wait any longer.
void WorkerProcess::stop_now() {
  if (drain_ && !handover_.admin)
    log_warning("told to stop immediately: connections are closed, on_stop hooks do not run");
  cut();
}

// Of the application only the on_stop hooks still run, for a limited time.
void WorkerProcess::begin_leaving() {
  uv_timer_start(
      leave_timer_.get(),
      [](uv_timer_t* timer) {
        log_warning("on_stop hooks did not finish in time: abandoning them", {{"limit_s", kStopHooksLimit.count()}});
        static_cast<WorkerProcess*>(timer->data)->cut();
      },
      std::chrono::milliseconds(kStopHooksLimit).count(), 0);
  leaving_ = leave();
  leaving_.start();
}

Task<void> WorkerProcess::leave() {
  co_await application_->stop(*this);
  if (state_ && state_->cache) co_await state_->cache->drain();
  cut();
}

// Stops the loop; close_handles() closes what is still open.
void WorkerProcess::cut() { uv_stop(&loop_); }

Readiness WorkerProcess::readiness() const {
  if (handover_.admin) return fleet_readiness(board_);
  const bool needs_redis = state_ && state_->redis != nullptr && config_.ready_requires == "redis";
  const bool redis_is_up = !needs_redis || state_->redis_up();
  return {.started = row_.phase.load() != WorkerPhase::booting,
          .redis = redis_is_up,
          .draining = row_.phase.load() == WorkerPhase::draining || board_.server().draining.load() != 0};
}

// A part that may still call another one is closed before it.
void WorkerProcess::close_handles() {
  booting_.reset();
  if (survival_) survival_->ledger().dismiss();
  if (http_) http_->close_all();
  while (http_ && http_->connections() > 0) uv_run(&loop_, UV_RUN_NOWAIT);
  report_requests_of(nullptr);
  drain_.reset();
  listeners_.reset();
  passed_.reset();
  http_.reset();
  tls_.reset();
  leaving_.reset();
  if (state_) state_->close();
  quarantine_.reset();  // what it has spawned has ended with Redis
  heartbeat_.reset();
  channel_.reset();
  disarm({SIGTERM}, [this] { terminate_.reset(); });  // a second one, to the whole group, would look like a crash
  leave_timer_.reset();
  admin_.reset();
  runtime_->destroy_background_tasks();  // they may use the application's state
  application_.reset();
  sockets_.reset();
  state_.reset();
  runtime_.reset();
  uv_run(&loop_, UV_RUN_DEFAULT);
  uv_loop_close(&loop_);
}

}  // namespace pronghorn::worker
