#include "pronghorn/concurrent.h"

#include <utility>

#include "worker/runtime/runtime.h"

namespace pronghorn::detail {

void spawn_detached(Task<void> task) { worker::Runtime::current().start(std::move(task)); }

}  // namespace pronghorn::detail
