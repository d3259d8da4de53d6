#include "common/ipc/running_request.h"

namespace pronghorn {

std::string id_of(const RunningRequest& running) {
  const std::string of_proxy = text_of(running.client_id);
  return of_proxy.empty() ? to_string(running.id) : of_proxy;
}

}  // namespace pronghorn
