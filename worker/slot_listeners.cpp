#include "worker/slot_listeners.h"

#include <unistd.h>

#include <exception>
#include <utility>

#include "common/log.h"
#include "worker/net/accept/acceptor.h"

namespace pronghorn::worker {

void SlotListeners::listen_to(std::uint32_t slot, bool covered) {
  for (const InheritedListener& listener : handover_.listeners) {
    if (listener.slot != slot) continue;
    // Other workers accept from this queue too. Without the flag, all of them would wake for each client.
    const bool shared = covered || listener.is_unix || handover_.config.balance == Balance::shared;
    http_.listen(listener, shared);
    if (listener.is_unix) unix_.push_back(listener.fd);
  }
}

void SlotListeners::cover(std::uint32_t slot, int fd, bool is_https) noexcept {
  try {
    if (fd < 0) return listen_to(slot, true);
    lent_.push_back({.address = {}, .slot = slot, .fd = fd, .is_unix = false, .is_https = is_https});
    http_.listen(lent_.back(), true);
  } catch (const std::exception& error) {
    log_warning("cannot accept connections for another slot", {{"slot", slot}, {"error", error.what()}});
  }
}

void SlotListeners::uncover(std::uint32_t slot) noexcept {
  for (const InheritedListener& listener : handover_.listeners) {
    if (listener.slot == slot && !listener.is_unix) http_.stop_listening(listener.fd);
  }
  for (const InheritedListener& listener : lent_) {
    if (listener.slot != slot) continue;
    http_.stop_listening(listener.fd);
    ::close(listener.fd);
  }
  std::erase_if(lent_, [slot](const InheritedListener& listener) { return listener.slot == slot; });
}

bool SlotListeners::add_unix(int fd) noexcept {
  if (fd < 0) {
    if (!std::exchange(told_, true)) log_warning("no descriptor is left for a Unix socket that was restored");
    return false;
  }
  told_ = false;
  try {
    // First, because descriptors may have run out.
    std::erase_if(unix_, [this, fd](int old) {
      if (!is_replaced(old, fd)) return false;
      http_.stop_listening(old);
      ::close(old);
      return true;
    });
    http_.listen({.address = {}, .slot = handover_.slot, .fd = fd, .is_unix = true, .is_https = false}, true);
    unix_.push_back(fd);
  } catch (const std::exception& error) {
    ::close(fd);
    log_warning("cannot accept connections from a Unix socket that was restored", {{"error", error.what()}});
  }
  return true;
}

}  // namespace pronghorn::worker
