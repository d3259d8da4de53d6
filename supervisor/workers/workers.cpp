#include "supervisor/workers/workers.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "common/log.h"
#include "supervisor/crash/exit_facts.h"
#include "supervisor/slots/killing_request.h"
#include "supervisor/workers/leaving_workers.h"

namespace pronghorn::supervisor {
namespace {

std::uint64_t milliseconds(Milliseconds duration) noexcept {
  return duration.count() > 0 ? static_cast<std::uint64_t>(duration.count()) : 0;
}

}  // namespace

Workers::Workers(Environment environment, Launch launch, Callbacks callbacks)
    : environment_(std::move(environment)),
      callbacks_(std::move(callbacks)),
      covers_(slots_, environment_.listeners, handles_),
      publisher_(environment_.board, slots_, environment_.listeners),
      explainer_(environment_.board, environment_.reporter),
      watchdog_(slots_, environment_.board, environment_.children, handles_),
      guardians_(environment_.children, environment_.board),
      launch_(std::move(launch)),
      launches_(kMaxSlots, launch_) {
  slots_.set_admin(environment_.admin_listeners != nullptr);
  slots_.set_distributor(environment_.passes_connections);
  slots_.set_job_workers(launch_.config->job_workers);
}

std::uint64_t Workers::advance() {
  const std::uint64_t now = monotonic_ms();
  watchdog_.kill_due(now);
  start_due(now);
  const std::uint64_t cover = covers_.update(now, stopping_);
  publisher_.publish_all(now);
  const std::uint64_t due = slots_.next_due();
  return due == 0 || cover == 0 ? due + cover : std::min(due, cover);
}

// At most one worker: where many are due, the loop must turn in between, because a fork takes long on a busy machine.
void Workers::start_due(std::uint64_t now) {
  while (const auto place = slots_.next_start(now)) {
    const auto started = start(*place, launches_[place->slot]);
    if (started) return;
    const auto delay = slots_.start_failed(place->slot, now, jitter());
    const std::string name = process_name(place->slot);
    if (start_verdict_.is_hopeless(place->slot, slots_.target())) {
      return callbacks_.on_cannot_start(fmt::format("{}: {}", name, started.error()));
    }
    log_error(fmt::format("cannot start {}: {}; trying again in {} ms", name, started.error(), delay.count()),
              {slot_field(place->slot)});
  }
}

std::expected<std::uint32_t, std::string> Workers::scale(std::int64_t workers) {
  if (stopping_) return std::unexpected("the server is stopping");
  const auto wanted = static_cast<std::uint32_t>(std::clamp<std::int64_t>(workers, 1, kMaxWorkers));
  if (wanted > slots_.target()) {
    if (const auto room = environment_.listeners.check_room(wanted); !room) return std::unexpected(room.error());
  }
  for (std::uint32_t slot = slots_.target(); slot < wanted; ++slot) {
    if (const auto added = environment_.listeners.add_slot(slot); !added) {
      drop_unused_listeners();
      return std::unexpected(added.error());
    }
    launches_[slot] = launch_;  // an old worker that still drains in the slot keeps its own, in its WorkerHandle
  }
  for (const WorkerEntry& surplus : slots_.set_target(wanted, monotonic_ms())) {
    surplus.state == WorkerState::starting ? stop(surplus) : drain(surplus, Milliseconds(0));
  }
  drop_unused_listeners();
  return wanted;
}

// Otherwise every later worker would inherit them. When the slot gets sockets again, they are not those that older
// workers have inherited, so known_slots shrinks.
void Workers::drop_unused_listeners() noexcept {
  environment_.listeners.drop_unused(slots_.target());
  handles_.for_each([slots = environment_.listeners.slots()](WorkerHandle& handle) {
    handle.known_slots = std::min(handle.known_slots, slots);
  });
}

void Workers::send_all(const ChannelMessage& message) {
  handles_.for_each([&message](WorkerHandle& handle) { handle.channel->send(message); });
}

std::size_t Workers::count_without_admin() const noexcept {
  const auto workers = slots_.workers();
  return static_cast<std::size_t>(
      std::ranges::count_if(workers, [](const WorkerEntry& worker) { return worker.slot != kAdminSlot; }));
}

// --- Replacing ------------------------------------------------------------------------------------------------------

std::expected<int, std::string> Workers::start_successor(std::uint32_t slot, const Launch& launch) {
  const auto row = slots_.free_row(slot);
  if (!row) return std::unexpected("every row of the slot is in use");
  return start({slot, *row}, launch);
}

void Workers::commit(int pid, const Launch& launch) {
  const WorkerEntry* successor = slots_.find(pid);
  if (successor == nullptr) return;
  const std::uint32_t slot = successor->slot;
  set_slot_launch(slot, launch);
  for (const WorkerEntry& worker : slots_.workers()) {
    if (worker.slot != slot || worker.pid == pid || worker.state == WorkerState::draining) continue;
    worker.state == WorkerState::starting ? stop(worker) : drain(worker, Milliseconds(0));
  }
}

void Workers::drain_before_start(int pid) {
  const WorkerEntry* worker = slots_.find(pid);
  if (worker == nullptr) return;
  slots_.hold(worker->slot);
  drain(WorkerEntry(*worker), Milliseconds(0));
}

void Workers::retire(int pid) {
  if (const WorkerEntry* worker = slots_.find(pid)) drain(WorkerEntry(*worker), Milliseconds(0));
}

void Workers::set_slot_launch(std::uint32_t slot, const Launch& launch) {
  launches_[slot] = launch;
  slots_.forget_exits(slot);
}

void Workers::discard(int pid) {
  if (const WorkerEntry* worker = slots_.find(pid)) stop(WorkerEntry(*worker));
}

void Workers::kill(int pid, std::string why) {
  if (WorkerHandle* handle = handles_.find(pid); handle != nullptr && handle->failure.empty()) {
    handle->failure = std::move(why);
  }
  environment_.children.kill(pid, SIGKILL);
}

void Workers::set_launch(const Launch& launch) {
  launch_ = launch;
  // Slots that nobody uses must not keep old copies of the application.
  for (std::uint32_t slot = 0; slot < kMaxSlots; ++slot) {
    if (!slots_.wanted(slot)) launches_[slot] = launch;
  }
}

// --- Starting -------------------------------------------------------------------------------------------------------

// Descriptors get the numbers that follow kFirstListenerFd, in the order in which they are added to `fds`.
Handover Workers::handover_for(Slots::Place place, const Launch& launch, std::vector<int>& fds) const {
  Handover handover;
  handover.config = *launch.config;
  handover.slot = place.slot;
  handover.row = place.row;
  handover.generation = launch.generation;
  handover.supervisor_pid = ::getpid();
  handover.admin = place.slot == kAdminSlot;
  const auto add = [&fds, first = fds.size()](int fd) {
    fds.push_back(fd);
    return kFirstListenerFd + static_cast<int>(fds.size() - first) - 1;
  };
  if (is_worker_slot(place.slot) && launch.tls != nullptr && environment_.ticket_keys != nullptr) {
    handover.tls_credentials_fd = add(launch.tls->credentials.get());
    handover.ticket_keys_fd = add(environment_.ticket_keys->fd());
  }
  if (is_job_slot(place.slot) || (is_worker_slot(place.slot) && environment_.passes_connections)) return handover;
  const Listeners& listeners = handover.admin ? *environment_.admin_listeners : environment_.listeners;
  for (const auto& listener : listeners.all()) {
    const Address& address = listeners.addresses()[listener.address];
    handover.listeners.push_back({.address = address.text,
                                  .slot = listener.slot.value_or(place.slot),
                                  .fd = add(listener.fd),
                                  .is_unix = address.is_unix,
                                  .is_https = address.is_https});
  }
  return handover;
}

std::unique_ptr<WorkerHandle> Workers::make_handle(int channel_fd, const Launch& launch) {
  auto handle = std::make_unique<WorkerHandle>();
  WorkerHandle& self = *handle;  // outlives its channel
  handle->config = launch.config;
  handle->app = launch.app;
  handle->channel_fd = channel_fd;
  handle->channel = std::make_unique<Channel>(
      environment_.loop, channel_fd,
      Channel::Callbacks{
          .on_message = [this, &self](const ChannelMessage& message, int fd) { on_message(self, message, fd); },
          // The worker is about to exit. If it kept running without a channel, we could no longer reach it.
          .on_closed = [this, &self] { slots_.kill_at(self.pid, monotonic_ms() + kClosedGraceMs); }});
  return handle;
}

std::expected<int, std::string> Workers::start(Slots::Place place, const Launch& launch) {
  try {
    if (launch.app) {
      if (auto restored = launch.app->restore(); !restored) return std::unexpected(std::move(restored.error()));
    }
    // Not when the first worker is ready: it accepts before it says so.
    if (is_worker_slot(place.slot)) environment_.listeners.listen(place.slot);
    const auto [ours, theirs] = make_channel_pair();
    const Fd their_end(theirs);
    auto handle = make_handle(ours, launch);
    // kChannelFd, kScoreboardFd, kHandoverFd, kHandoffGiveFd, kHandoffTakeFd
    std::vector<int> fds{theirs, environment_.board.fd(), -1, environment_.handoff.give.get(),
                         environment_.handoff.take.get()};
    const Fd record(write_handover(handover_for(place, launch, fds)));
    fds[2] = record.get();
    const char* const command = place.slot == kDistributorSlot ? "distributor" : "worker";
    const auto pid = environment_.children.spawn({environment_.program, command}, fds,
                                                 [this](const ChildExit& exit) { on_exit(exit); });
    if (!pid) return pid;
    const std::uint64_t now = monotonic_ms();
    const std::uint64_t limit = milliseconds(launch.config->boot_timeout);
    slots_.started(place, *pid, launch.generation, now, limit == 0 ? 0 : now + limit);
    handle->pid = *pid;
    handle->known_slots = environment_.listeners.slots();
    handles_.add(std::move(handle));
    publisher_.publish(place.slot, now);
    log_debug(process_name(place.slot) + " started",
              {slot_field(place.slot), {"pid", *pid}, {"generation", launch.generation}});
    return pid;
  } catch (const std::exception& error) {  // out of descriptors or memory: a later start can succeed
    return std::unexpected(error.what());
  }
}

void Workers::adopt(const WorkerEntry& worker, int channel_fd, std::uint32_t known_slots, const Launch& launch,
                    int guardian) {
  auto handle = make_handle(channel_fd, launch);
  handle->pid = worker.pid;
  handle->known_slots = known_slots;
  handles_.add(std::move(handle));
  if (worker.state != WorkerState::draining) launches_[worker.slot] = launch;
  slots_.adopt(worker);
  environment_.children.adopt(worker.pid, [this](const ChildExit& exit) { on_exit(exit); });
  guardians_.started(worker, guardian);
}

const Config& Workers::config_of(const WorkerEntry& worker) const {
  const WorkerHandle* owner = handle(worker.pid);
  return owner != nullptr ? *owner->config : *launches_[worker.slot].config;
}

// --- Messages and exits ---------------------------------------------------------------------------------------------

void Workers::on_message(WorkerHandle& handle, const ChannelMessage& message, int fd) {
  if (fd >= 0) ::close(fd);  // no message to the supervisor carries one
  const WorkerEntry* worker = slots_.find(handle.pid);
  if (worker == nullptr) return;
  switch (message.kind) {
    case MessageKind::ready:
      return on_ready(handle.pid);
    case MessageKind::failed:
      handle.failure = message.text;
      return;
    case MessageKind::unlinked:
      return callbacks_.on_unlinked(handle.pid, static_cast<int>(message.number));
    case MessageKind::listener:
      return callbacks_.on_listener_missed(handle.pid);
    case MessageKind::relay_unlinked:
      return callbacks_.on_relay_unlinked(handle.pid, static_cast<int>(message.number));
    case MessageKind::guardian:
      if (message.number == 0) return guardians_.missing(message.text);
      return guardians_.started(*worker, static_cast<int>(message.number));
    case MessageKind::kill_identified:
    case MessageKind::quarantined:
    case MessageKind::quarantine_ended:
      return callbacks_.on_quarantine(handle.pid, message);
    case MessageKind::jobs_answer:
    case MessageKind::jobs_end:
      return callbacks_.on_jobs(message);
    case MessageKind::request_listed:
    case MessageKind::requests_end:
      return callbacks_.on_requests(message);
    default:
      return;  // a message of another build
  }
}

void Workers::on_ready(int pid) {
  const WorkerEntry* worker = slots_.find(pid);
  if (worker->state != WorkerState::starting) return;
  const std::uint64_t lost_since = slots_.lost_since(worker->slot);
  slots_.ready(pid, monotonic_ms());
  const WorkerEntry ready = *worker;
  if (is_worker_slot(ready.slot)) start_verdict_.worker_ready();
  log_debug(process_name(ready.slot) + " is ready",
            {slot_field(ready.slot), {"pid", ready.pid}, {"boot_ms", ready.ready_ms - ready.started_ms}});
  if (lost_since != 0) {
    log_info(fmt::format("{} is ready again after {} ms", process_name(ready.slot), ready.ready_ms - lost_since),
             {slot_field(ready.slot), {"pid", ready.pid}});
  }
  callbacks_.on_ready(ready);
}

// A worker that ends in order has none.
std::uint64_t Workers::in_flight_of(const WorkerEntry& worker) const noexcept {
  const WorkerRow& row = environment_.board.worker(worker.slot, worker.row);
  const bool its_own = row.pid.load() == static_cast<std::uint32_t>(worker.pid);
  return is_worker_slot(worker.slot) && its_own ? row[Count::in_flight].load() : 0;
}

void Workers::on_exit(const ChildExit& how) {
  if (how.signal == 0 && how.status == 0) retire_leaving(*this, environment_.board);  // it may have left at once
  const std::uint64_t now = monotonic_ms();
  const auto exit = slots_.exited(how.pid, now, jitter());
  if (!exit) return;
  const WorkerEntry& worker = exit->worker;
  const WorkerHandle* owner = handle(how.pid);
  const std::string own_words = owner != nullptr ? owner->failure : "";
  const std::string reason = own_words.empty() ? describe(how) : describe(how) + ": " + own_words;
  const bool hopeless = exit->counts && !stopping_ && start_verdict_.is_hopeless(worker, how, slots_.target());
  WorkerRow& row = environment_.board.worker(worker.slot, worker.row);
  const ExitExplainer::Ended ended{.exit = *exit,
                                   .how = how,
                                   .cause = reason,
                                   .config = config_of(worker),
                                   .app = owner != nullptr ? owner->app : nullptr};
  CrashReporter::Written report;
  if (!hopeless) {
    report = explainer_.explain(ended, stopping_ && !start_verdict_.ever_ready());
  } else if (how.signal != 0) {  // its own message, or its exit status, needs no report
    report.add_requests = explainer_.write_report(ended).add_requests;
  }
  const std::string guilty = killing_request(*exit, how, row);
  const std::string job = job_of(guilty);
  if (!guilty.empty() && job.empty()) callbacks_.on_killed(guilty, killing_client(row));
  if (row.pid.load() == static_cast<std::uint32_t>(worker.pid)) {
    callbacks_.on_ended({.incarnation = row.incarnation.get(),
                         .job = job,
                         .report = report.name,
                         .reason = reason,
                         .unexpected = exit->counts || how.signal != 0});
  }
  const std::uint64_t in_flight = in_flight_of(worker);
  release_row(row, worker.pid);
  handles_.erase(how.pid);
  guardians_.worker_ended(worker, how, in_flight, std::move(report.add_requests));
  publisher_.publish(worker.slot, now);
  callbacks_.on_exit(worker, reason);
  if (!hopeless) return;
  callbacks_.on_cannot_start(own_words.empty() ? fmt::format("{} ended with {}", process_name(worker.slot), reason)
                                               : own_words);
}

// --- Ending ---------------------------------------------------------------------------------------------------------

void Workers::drain(const WorkerEntry& worker, Milliseconds delay) {
  const std::uint64_t now = monotonic_ms();
  const Milliseconds limit = delay + config_of(worker).drain_timeout + kStopHooksLimit + kCutGrace;
  slots_.draining(worker.pid, now, now + milliseconds(limit));
  send(worker.pid, {MessageKind::drain, milliseconds(delay), {}});
  publisher_.publish(worker.slot, now);
}

void Workers::stop(const WorkerEntry& worker) {
  const std::uint64_t now = monotonic_ms();
  slots_.draining(worker.pid, now, now + kStopGraceMs);
  send(worker.pid, {MessageKind::stop, 0, {}});
  publisher_.publish(worker.slot, now);
}

void Workers::drain_all() {
  stopping_ = true;
  slots_.set_target(0, monotonic_ms());
  slots_.set_distributor(false);
  slots_.set_job_workers(0);
  for (const WorkerEntry& worker : slots_.workers()) {
    if (worker.slot == kAdminSlot) continue;
    if (worker.state == WorkerState::starting) {
      stop(worker);  // it serves nobody yet
    } else if (worker.state == WorkerState::ready) {
      drain(worker, launch_.config->drain_delay);
    }
  }
}

void Workers::stop_all() {
  stopping_ = true;
  slots_.set_target(0, monotonic_ms());
  slots_.set_distributor(false);
  slots_.set_job_workers(0);
  stop_admin();
  for (const WorkerEntry& worker : slots_.workers()) stop(worker);
}

void Workers::stop_admin() {
  slots_.set_admin(false);
  for (const WorkerEntry& worker : slots_.workers()) {
    if (worker.slot == kAdminSlot) stop(worker);
  }
}

}  // namespace pronghorn::supervisor
