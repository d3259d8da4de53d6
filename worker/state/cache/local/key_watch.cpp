#include "worker/state/cache/local/key_watch.h"

#include <utility>

namespace pronghorn::worker {
namespace {

constexpr std::string_view kChannel = "__redis__:invalidate";

}  // namespace

KeyWatch::KeyWatch(LocalCopies& copies, Subscriber& told)
    : copies_(copies), told_(told), subscription_(told_.subscribe(kChannel, *this)) {}

KeyWatch::KeyWatch(LocalCopies& copies, std::unique_ptr<Subscriber> told)
    : copies_(copies), own_(std::move(told)), told_(*own_), subscription_(told_.subscribe(kChannel, *this)) {}

void KeyWatch::end() {
  if (const std::uint64_t connection = std::exchange(connection_, 0)) copies_.lost(connection);
}

// An array of keys; nil after a FLUSHALL.
void KeyWatch::message(std::string_view, const Reply& payload) {
  if (!payload.is_array()) return copies_.lost(connection_);
  for (const Reply& key : payload.array()) {
    if (key.is_string()) copies_.changed(key.string());
  }
}

}  // namespace pronghorn::worker
