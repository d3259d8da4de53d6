#include "common/signals.h"

#include <signal.h>

namespace pronghorn {

void disarm(std::initializer_list<int> signals) noexcept {
  struct sigaction action{};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  for (const int signal : signals) ::sigaction(signal, &action, nullptr);
}

}  // namespace pronghorn
