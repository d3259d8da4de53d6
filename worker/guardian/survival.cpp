#include "worker/guardian/survival.h"

#include <sys/mman.h>

#include <cerrno>
#include <exception>
#include <new>
#include <system_error>
#include <utility>

#include "common/log.h"

namespace pronghorn::worker {
namespace {

HandoffInbox* make_shared_inbox() {
  void* memory = ::mmap(nullptr, sizeof(HandoffInbox), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "cannot allocate the inbox");
  return ::new (memory) HandoffInbox;
}

}  // namespace

Survival::Survival(std::uint64_t memory, Queue queue) : ledger_(memory), inbox_(make_shared_inbox()), queue_(queue) {}

std::unique_ptr<Survival> Survival::start(const Handover& handover, Queue queue, WorkerRow& row) {
  const std::uint64_t memory = handover.config.survival_memory;
  if (memory == 0) return nullptr;
  try {
    std::unique_ptr<Survival> survival(new Survival(memory, queue));
    survival->guardian_ = start_guardian({.ledger = &survival->ledger_,
                                          .inbox = survival->inbox_,
                                          .queue = queue.give,
                                          .row = &row.guardian,
                                          .ports = ListeningPorts(handover.listeners)},
                                         handover.supervisor_pid);
    return survival;
  } catch (const std::exception& error) {
    log_warning("connections will not outlive this worker; lower --survival-memory", {{"error", error.what()}});
    return nullptr;
  }
}

void Survival::tell_full() {
  if (std::exchange(told_full_, true)) return;
  log_warning("survival_memory is full: further connections end when this worker dies or leaves; raise it",
              {{"connections", ledger_.capacity()}});
}

}  // namespace pronghorn::worker
