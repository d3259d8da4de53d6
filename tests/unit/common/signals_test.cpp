#include "common/signals.h"

#include <signal.h>

#include <catch2/catch.hpp>

using pronghorn::disarm;

TEST_CASE("a disarmed signal does not end the process, also not while its handler is given up", "[signals]") {
  bool released = false;
  disarm({SIGUSR1}, [&released] {
    ::signal(SIGUSR1, SIG_DFL);
    ::raise(SIGUSR1);
    released = true;
  });
  CHECK(released);
  ::raise(SIGUSR1);
  ::signal(SIGUSR1, SIG_DFL);
}
