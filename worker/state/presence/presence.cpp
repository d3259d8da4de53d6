// Implements Presence.
#include "pronghorn/presence.h"

#include <utility>

#include "worker/state/events/messages/topic_names.h"
#include "worker/state/presence/presence_service.h"

namespace pronghorn {
namespace {

worker::PresenceService& inner(detail::PresenceService& service) noexcept {
  return static_cast<worker::PresenceService&>(service);
}

}  // namespace

Presence::Presence(detail::PresenceService& service, std::string_view topic, TimePoint until)
    : service_(&service), topic_(topic), until_(until) {
  worker::require_topic(topic);
}

Task<std::uint64_t> Presence::count() { return inner(*service_).count(topic_, {.until = until_}); }

Task<PresenceList> Presence::list(std::size_t limit) { return inner(*service_).list(topic_, limit, {.until = until_}); }

Task<PresencePage> Presence::page(std::string cursor) {
  return inner(*service_).page(topic_, std::move(cursor), {.until = until_});
}

}  // namespace pronghorn
