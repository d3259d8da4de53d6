#include "common/signals.h"

#include <signal.h>
#include <uv.h>

#include <thread>

#include "support/catch.h"

using pronghorn::disarm;

// Another thread does not block the signal. It ended a worker that was leaving as if it had crashed.
TEST_CASE("a disarmed signal does not end the process, whichever thread takes it while its handle is closed",
          "[signals]") {
  uv_loop_t loop{};
  uv_signal_t handle{};
  uv_loop_init(&loop);
  uv_signal_init(&loop, &handle);
  uv_signal_start(&handle, [](uv_signal_t*, int) {}, SIGUSR1);
  const auto raise_everywhere = [] {
    std::thread([] {
      sigset_t all;
      sigfillset(&all);
      ::pthread_sigmask(SIG_UNBLOCK, &all, nullptr);  // a new thread has the mask of the one that starts it
      ::raise(SIGUSR1);
    }).join();
    ::raise(SIGUSR1);
  };
  bool released = false;
  disarm({SIGUSR1}, [&] {
    uv_close(reinterpret_cast<uv_handle_t*>(&handle), nullptr);
    raise_everywhere();
    released = true;
  });
  CHECK(released);
  raise_everywhere();
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop) == 0);
}

TEST_CASE("a signal without a handle is disarmed, too", "[signals]") {
  disarm({SIGUSR2});
  ::raise(SIGUSR2);
  std::thread([] { ::raise(SIGUSR2); }).join();
  ::signal(SIGUSR2, SIG_DFL);
}
