#include "supervisor/workers/workers.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "common/log.h"
#include "supervisor/crash/exit_facts.h"

namespace pronghorn::supervisor {
namespace {

std::uint64_t milliseconds(Milliseconds duration) noexcept {
  return duration.count() > 0 ? static_cast<std::uint64_t>(duration.count()) : 0;
}

}  // namespace

Workers::Workers(Environment environment, Launch launch, Callbacks callbacks)
    : environment_(std::move(environment)),
      callbacks_(std::move(callbacks)),
      launch_(std::move(launch)),
      launches_(kMaxSlots, launch_) {
  slots_.set_admin(environment_.admin_listeners != nullptr);
}

std::uint64_t Workers::advance() {
  const std::uint64_t now = monotonic_ms();
  kill_due(now);
  while (const auto place = slots_.next_start(now)) {
    const auto started = start(*place, launches_[place->slot]);
    if (started) continue;
    const auto delay = slots_.start_failed(place->slot, now, jitter());
    if (!ever_ready_ && place->slot != kAdminSlot && every_slot_failed(place->slot)) {
      callbacks_.on_cannot_start(fmt::format("{}: {}", process_name(place->slot), started.error()));
      break;
    }
    log_error(fmt::format("{} cannot be started: {}; the next attempt follows in {} ms", process_name(place->slot),
                          started.error(), delay.count()),
              {{"slot", place->slot}});
  }
  update_covers(now);
  publish_all(now);
  const std::uint64_t due = slots_.next_due();
  const std::uint64_t cover = next_cover(now);
  if (due == 0 || cover == 0) return due + cover;
  return std::min(due, cover);
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
    launches_[slot] = launch_;  // an old worker that still drains in it keeps its own (WorkerHandle)
  }
  for (const WorkerEntry& surplus : slots_.set_target(wanted, monotonic_ms())) {
    surplus.state == WorkerState::starting ? stop(surplus) : drain(surplus, Milliseconds(0));
  }
  drop_unused_listeners();
  return wanted;
}

// Else each later worker would inherit them for nothing. Should the slot get sockets again, they are others than those
// that workers know.
void Workers::drop_unused_listeners() noexcept {
  environment_.listeners.drop_unused(slots_.target());
  for (const auto& [pid, handle] : handles_) {
    handle->known_slots = std::min(handle->known_slots, environment_.listeners.slots());
  }
}

void Workers::send_all(const Message& message) {
  for (const auto& [pid, handle] : handles_) handle->channel->send(message);
}

bool Workers::send(int pid, const Message& message, int fd) {
  const auto found = handles_.find(pid);
  return found != handles_.end() && found->second->channel->send(message, fd);
}

std::expected<int, std::string> Workers::start_successor(std::uint32_t slot, const Launch& launch) {
  const auto row = slots_.free_row(slot);
  if (!row) return std::unexpected("both rows of the slot are in use");
  return start({slot, *row}, launch);
}

void Workers::commit(int pid, const Launch& launch) {
  const WorkerEntry* successor = slots_.find(pid);
  if (successor == nullptr) return;
  const std::uint32_t slot = successor->slot;
  launches_[slot] = launch;
  slots_.forget_exits(slot);
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

void Workers::set_slot_launch(std::uint32_t slot, const Launch& launch) {
  launches_[slot] = launch;
  slots_.forget_exits(slot);
}

void Workers::discard(int pid) {
  if (const WorkerEntry* worker = slots_.find(pid)) stop(WorkerEntry(*worker));
}

void Workers::set_launch(const Launch& launch) {
  launch_ = launch;
  // Else slots that nobody uses would keep old applications.
  for (std::uint32_t slot = 0; slot < kMaxSlots; ++slot) {
    if (!slots_.wanted(slot)) launches_[slot] = launch;
  }
}

// --- Starting -------------------------------------------------------------------------------------------------------

Handover Workers::handover_for(Slots::Place place, const Launch& launch, std::vector<int>& fds) const {
  Handover handover;
  handover.config = *launch.config;
  handover.slot = place.slot;
  handover.row = place.row;
  handover.generation = launch.generation;
  handover.supervisor_pid = ::getpid();
  handover.admin = place.slot == kAdminSlot;
  if (!handover.admin && environment_.passes_connections) return handover;
  const Listeners& listeners = handover.admin ? *environment_.admin_listeners : environment_.listeners;
  for (const auto& listener : listeners.all()) {
    const Address& address = listeners.addresses()[listener.address];
    const int number = kFirstListenerFd + static_cast<int>(handover.listeners.size());
    handover.listeners.push_back({address.text, listener.slot.value_or(place.slot), number, address.is_unix});
    fds.push_back(listener.fd);
  }
  return handover;
}

std::unique_ptr<WorkerHandle> Workers::make_handle(int channel_fd, const Launch& launch) {
  auto handle = std::make_unique<WorkerHandle>();
  WorkerHandle& self = *handle;  // outlives its channel
  Channel::Callbacks callbacks;
  callbacks.on_message = [this, &self](const Message& message, int fd) { on_message(self, message, fd); };
  callbacks.on_closed = [this, &self] { on_closed(self); };
  handle->config = launch.config;
  handle->app = launch.app;
  handle->channel_fd = channel_fd;
  handle->channel = std::make_unique<Channel>(environment_.loop, channel_fd, std::move(callbacks));
  return handle;
}

std::expected<int, std::string> Workers::start(Slots::Place place, const Launch& launch) {
  try {
    if (launch.app) {
      if (auto restored = launch.app->restore(); !restored) return std::unexpected(std::move(restored.error()));
    }
    // Before its first worker, which could not accept otherwise. A slot that is slow to become ready is covered.
    if (place.slot != kAdminSlot) environment_.listeners.listen(place.slot);
    const auto [ours, theirs] = make_channel_pair();
    const Fd their_end(theirs);
    auto handle = make_handle(ours, launch);
    std::vector<int> fds{theirs, environment_.board.fd(), -1};  // kChannelFd, kScoreboardFd, kHandoverFd
    const Fd record(write_handover(handover_for(place, launch, fds)));
    fds[2] = record.get();
    const auto pid = environment_.children.spawn({environment_.program, "worker"}, fds,
                                                 [this](const ChildExit& exit) { on_exit(exit); });
    if (!pid) return pid;
    const std::uint64_t now = monotonic_ms();
    const std::uint64_t limit = milliseconds(launch.config->boot_timeout);
    slots_.started(place, *pid, launch.generation, now, limit == 0 ? 0 : now + limit);
    handle->pid = *pid;
    handle->known_slots = environment_.listeners.slots();
    handles_[*pid] = std::move(handle);
    publish(place.slot, now);
    log_debug(process_name(place.slot) + " started",
              {{"slot", place.slot}, {"pid", *pid}, {"generation", launch.generation}});
    return pid;
  } catch (const std::exception& error) {  // out of descriptors or memory: tried again later
    return std::unexpected(error.what());
  }
}

void Workers::adopt(const WorkerEntry& worker, int channel_fd, std::uint32_t known_slots, const Launch& launch) {
  auto handle = make_handle(channel_fd, launch);
  handle->pid = worker.pid;
  handle->known_slots = known_slots;
  handles_[worker.pid] = std::move(handle);
  if (worker.state != WorkerState::draining) launches_[worker.slot] = launch;
  slots_.adopt(worker);
  environment_.children.adopt(worker.pid, [this](const ChildExit& exit) { on_exit(exit); });
}

const WorkerHandle* Workers::handle(int pid) const noexcept {
  const auto found = handles_.find(pid);
  return found == handles_.end() ? nullptr : found->second.get();
}

const Config& Workers::config_of(const WorkerEntry& worker) const {
  const WorkerHandle* owner = handle(worker.pid);
  return owner != nullptr ? *owner->config : *launches_[worker.slot].config;
}

std::size_t Workers::count_without_admin() const noexcept {
  std::size_t admins = slots_.current(kAdminSlot) != nullptr ? 1 : 0;
  if (slots_.other(kAdminSlot) != nullptr) ++admins;
  return slots_.count() - admins;
}

// --- Ending ---------------------------------------------------------------------------------------------------------

void Workers::drain(const WorkerEntry& worker, Milliseconds delay) {
  const std::uint64_t now = monotonic_ms();
  const std::uint64_t limit = milliseconds(delay) + milliseconds(config_of(worker).drain_timeout) + kCutGraceMs;
  slots_.draining(worker.pid, now, now + limit);
  send(worker.pid, {MessageKind::drain, milliseconds(delay), {}});
  publish(worker.slot, now);
}

void Workers::stop(const WorkerEntry& worker) {
  const std::uint64_t now = monotonic_ms();
  slots_.draining(worker.pid, now, now + kStopGraceMs);
  send(worker.pid, {MessageKind::stop, 0, {}});
  publish(worker.slot, now);
}

void Workers::drain_all() {
  stopping_ = true;
  slots_.set_target(0, monotonic_ms());
  for (const WorkerEntry& worker : slots_.workers()) {
    if (worker.slot == kAdminSlot) continue;
    if (worker.state == WorkerState::starting) {
      stop(worker);  // it serves nobody
    } else if (worker.state == WorkerState::ready) {
      drain(worker, launch_.config->drain_delay);
    }
  }
}

void Workers::stop_all() {
  stopping_ = true;
  slots_.set_target(0, monotonic_ms());
  stop_admin();
  for (const WorkerEntry& worker : slots_.workers()) stop(worker);
}

void Workers::stop_admin() {
  slots_.set_admin(false);
  for (const WorkerEntry& worker : slots_.workers()) {
    if (worker.slot == kAdminSlot) stop(worker);
  }
}

void Workers::kill_due(std::uint64_t now) {
  for (const WorkerEntry& worker : slots_.workers()) {
    if (worker.kill_at_ms == 0 || worker.kill_at_ms > now) continue;
    if (worker.state == WorkerState::starting) {
      const auto limit = config_of(worker).boot_timeout.count();
      abort_worker(worker, now,
                   fmt::format("was not ready after {} s (boot_timeout)", static_cast<double>(limit) / 1e3));
      continue;
    }
    slots_.kill_sent(worker.pid);
    if (worker.state == WorkerState::draining) {
      const WorkerRow& row = environment_.board.worker(worker.slot, worker.row);
      log_warning(
          fmt::format(
              "worker {} did not end in time and is killed; this cuts {} connections with {} requests in flight",
              worker.slot, row[Count::connections].load(), row[Count::in_flight].load()),
          {{"slot", worker.slot}, {"pid", worker.pid}, {"request", running_request(row, worker.pid)}});
    }
    environment_.children.kill(worker.pid, SIGKILL);
  }
}

// SIGABRT first: the worker then writes down where it stands. One that is stopped by a signal cannot.
void Workers::abort_worker(const WorkerEntry& worker, std::uint64_t now, std::string why) {
  const bool stopped = process_state(worker.pid) == 'T';
  if (stopped) why += ": it is stopped by a signal";
  const std::string request = running_request(environment_.board.worker(worker.slot, worker.row), worker.pid);
  log_error(fmt::format("{} {}{}; it is killed", process_name(worker.slot), why,
                        request.empty() ? "" : " while executing " + request),
            {{"slot", worker.slot}, {"pid", worker.pid}});
  if (const auto found = handles_.find(worker.pid); found != handles_.end() && found->second->failure.empty()) {
    found->second->failure = "it " + why;
  }
  slots_.dying(worker.pid, now, now + kAbortGraceMs);
  environment_.children.kill(worker.pid, stopped ? SIGKILL : SIGABRT);
}

}  // namespace pronghorn::supervisor
