#include "common/signals.h"

#include <signal.h>

namespace pronghorn {

void disarm(std::initializer_list<int> signals, const std::function<void()>& release) {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  for (const int signal : signals) sigaddset(&blocked, signal);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  release();
  struct sigaction action{};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  for (const int signal : signals) ::sigaction(signal, &action, nullptr);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace pronghorn
