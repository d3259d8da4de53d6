// Implements what Worker and Request give access to: Redis, and what is kept there.
#include "pronghorn/cache.h"
#include "pronghorn/jobs.h"
#include "pronghorn/presence.h"
#include "pronghorn/redis.h"
#include "pronghorn/request.h"
#include "pronghorn/topics.h"
#include "pronghorn/worker.h"
#include "worker/state/state_services.h"

namespace pronghorn {
namespace {

worker::StateServices& services_of(Worker& worker) { return static_cast<worker::StateServices&>(worker.services()); }

}  // namespace

Redis Worker::redis() { return Redis(*services_of(*this).redis); }

Redis Request::redis() { return worker().redis().until(deadline()); }

Cache Worker::cache() { return Cache(*services_of(*this).cache); }

Cache Request::cache() { return worker().cache(); }

Events Worker::events() { return Events(services_of(*this).events); }

Events Request::events() { return worker().events(); }

Jobs Worker::jobs() { return Jobs(services_of(*this).jobs); }

Jobs Request::jobs() { return worker().jobs(); }

Presence Worker::presence(std::string_view topic) { return Presence(services_of(*this).presence, topic); }

Presence Request::presence(std::string_view topic) {
  return Presence(services_of(worker()).presence, topic, deadline());
}

}  // namespace pronghorn
