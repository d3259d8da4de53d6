#include "pronghorn/offload.h"

#include <utility>

#include "worker/runtime/runtime.h"

namespace pronghorn::detail {

void submit_work(std::shared_ptr<OffloadedWork> work) { worker::Runtime::current().submit(std::move(work)); }

}  // namespace pronghorn::detail
