#include "pronghorn/worker.h"

#include <stdexcept>
#include <string>

#include "worker/runtime/exception_text.h"

namespace pronghorn {

void* Worker::require_state(const std::type_info& type) const {
  void* const found = find_state(type);
  if (found == nullptr) {
    throw std::logic_error("the application has no state of type " + worker::type_name(type) +
                           ": call app.state<T>() in the setup function");
  }
  return found;
}

}  // namespace pronghorn
