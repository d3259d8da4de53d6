#include "supervisor/socket_files.h"

#include <fmt/format.h>

#include <exception>

#include "common/log.h"
#include "supervisor/system/directories.h"

namespace pronghorn::supervisor {

void SocketFiles::look() {
  errors_.clear();
  for (const int pid : std::exchange(missed_, {})) {
    if (const WorkerEntry* const worker = parts_.workers.slots().find(pid)) send_all(*worker);
  }
  try {
    if (!parts_.runtime_dir.empty() && !file_id(parts_.runtime_dir)) {
      make_private_directory(parts_.runtime_dir, "runtime_dir");
    }
    if (parts_.control.restore_file()) log_warning("the file of the control socket was deleted: it is there again");
  } catch (const std::exception& error) {
    errors_.insert(fmt::format("the control socket cannot be restored: {}", error.what()));
  }
  look_at(parts_.listeners);
  if (parts_.admin != nullptr) look_at(*parts_.admin);
  for (const std::string& error : errors_) {
    if (!told_.contains(error)) log_error(error);
  }
  told_ = errors_;
}

void SocketFiles::look_at(Listeners& listeners) {
  const Listeners::Restored restored = listeners.restore_files();
  for (const std::string& error : restored.errors) {
    errors_.insert(fmt::format("the file of a Unix socket was deleted and cannot be restored: {}", error));
  }
  for (const Listeners::Listener& listener : restored.listeners) {
    log_warning(
        fmt::format("the file of {} was deleted: it is there again", listeners.addresses()[listener.address].text));
    restored_ms_ = monotonic_ms();
    if (&listeners == &parts_.listeners) parts_.report.forget(listener);
    for (std::uint32_t slot = 0; slot < kMaxSlots; ++slot) {
      const WorkerEntry* const worker = parts_.workers.slots().ready_worker(slot);
      if (worker == nullptr || listeners_of(slot) != &listeners) continue;
      if (!parts_.workers.send(worker->pid, {MessageKind::listener, 0, {}}, listener.fd)) missed_.insert(worker->pid);
    }
  }
}

void SocketFiles::ready(const WorkerEntry& worker) {
  if (worker.started_ms <= restored_ms_) send_all(worker);
}

// It may have some of them: one that comes twice replaces itself.
void SocketFiles::send_all(const WorkerEntry& worker) {
  const Listeners* const listeners = listeners_of(worker.slot);
  if (listeners == nullptr) return;
  for (const Listeners::Listener& listener : listeners->all()) {
    if (!listeners->addresses()[listener.address].is_unix) continue;
    if (parts_.workers.send(worker.pid, {MessageKind::listener, 0, {}}, listener.fd)) continue;
    missed_.insert(worker.pid);
    return;
  }
}

// Null: that process accepts nothing by itself.
Listeners* SocketFiles::listeners_of(std::uint32_t slot) const noexcept {
  if (slot == kAdminSlot) return parts_.admin;
  const bool accepts = parts_.passes_connections ? slot == kDistributorSlot : is_worker_slot(slot);
  return accepts ? &parts_.listeners : nullptr;
}

}  // namespace pronghorn::supervisor
