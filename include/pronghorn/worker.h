// The worker process in which the application runs, as its hooks and handlers see it.
#pragma once

#include <string_view>
#include <typeinfo>

#include "pronghorn/detail/export.h"
#include "pronghorn/redis.h"

namespace pronghorn {

class Cache;
class Events;
class Jobs;
class Presence;
class Sockets;

namespace detail {
class Services;
class SocketService;
}  // namespace detail

// Context: loop thread. Valid from the first function that makes state (App::state()) until the last on_stop hook has
//          ended. Each worker process has one, and so has each TestClient.
class PRONGHORN_API Worker {
 public:
  Worker() = default;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  virtual ~Worker() = default;

  [[nodiscard]] virtual unsigned slot() const noexcept = 0;        // 0 .. number of workers - 1
  [[nodiscard]] virtual unsigned generation() const noexcept = 0;  // 1 at the start; a rollback returns to an older one
  // True once this worker has begun to drain: it finishes its requests, and background work must end.
  [[nodiscard]] virtual bool draining() const noexcept = 0;
  // The worker's Redis connection. Throws std::logic_error with --redis none.
  [[nodiscard]] Redis redis();
  // What is kept in Redis for all workers and machines: see pronghorn/cache.h, topics.h, jobs.h and presence.h. Each
  // throws std::logic_error with --redis none; presence() throws std::invalid_argument for an invalid topic.
  [[nodiscard]] Cache cache();
  [[nodiscard]] Events events();
  [[nodiscard]] Jobs jobs();
  [[nodiscard]] Presence presence(std::string_view topic);
  // All WebSockets, by their ids: see pronghorn/websocket.h.
  [[nodiscard]] Sockets sockets();

  // The application's state of type T, made by app.state<T>(). Throws std::logic_error if there is none, or if it has
  // not been made yet.
  template <class T>
  [[nodiscard]] T& state() const {
    return *static_cast<T*>(require_state(typeid(T)));
  }

  [[nodiscard]] void* require_state(const std::type_info& type) const;  // for state()
  // For the server. Throws std::logic_error with --redis none.
  [[nodiscard]] virtual detail::Services& services() = 0;
  [[nodiscard]] virtual detail::SocketService& socket_service() = 0;  // for the server

 private:
  [[nodiscard]] virtual void* find_state(const std::type_info& type) const noexcept = 0;
};

}  // namespace pronghorn
