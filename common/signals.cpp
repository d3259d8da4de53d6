#include "common/signals.h"

#include <signal.h>
#include <uv.h>

namespace pronghorn {
namespace {

// When libuv's last handle for a signal is closed, the signal ends the process until somebody else handles it, and
// another thread may take it meanwhile. These handles are never closed. Fails if descriptors have run out.
bool keep_handled(std::initializer_list<int> signals) {
  auto* const loop = new uv_loop_t;
  if (uv_loop_init(loop) != 0) {
    delete loop;
    return false;
  }
  for (const int signal : signals) {
    auto* const handle = new uv_signal_t;
    uv_signal_init(loop, handle);
    if (uv_signal_start(handle, [](uv_signal_t*, int) {}, signal) != 0) return false;
  }
  return true;
}

}  // namespace

void disarm(std::initializer_list<int> signals, const std::function<void()>& release) {
  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  for (const int signal : signals) sigaddset(&blocked, signal);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const bool kept = release && keep_handled(signals);
  if (release) release();
  if (!kept) {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    action.sa_flags = SA_RESTART;
    for (const int signal : signals) ::sigaction(signal, &action, nullptr);
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace pronghorn
