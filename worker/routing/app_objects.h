// The application's objects in this worker: what App::state() makes and Worker::state() finds.
#pragma once

#include <typeinfo>
#include <vector>

#include "pronghorn/worker.h"
#include "worker/routing/app_state.h"

namespace pronghorn::worker {

// Context: loop thread. Destroys the objects in reverse order.
class AppObjects {
 public:
  AppObjects() = default;
  AppObjects(const AppObjects&) = delete;
  AppObjects& operator=(const AppObjects&) = delete;
  ~AppObjects() { clear(); }

  // Makes the objects in the order of `entries`. Throws what a maker throws; what has been made stays. `entries` and
  // `worker` must outlive the task.
  [[nodiscard]] Task<void> make(const std::vector<detail::StateEntry>& entries, pronghorn::Worker& worker);
  // Null if there is no object of that type.
  [[nodiscard]] void* find(const std::type_info& type) const noexcept;
  void clear() noexcept;

 private:
  struct Object {
    const std::type_info* type;
    void* object;
    void (*destroy)(void*) noexcept;
  };
  std::vector<Object> objects_;
};

}  // namespace pronghorn::worker
