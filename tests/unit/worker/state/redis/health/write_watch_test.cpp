#include "worker/state/redis/health/write_watch.h"

#include "support/catch.h"

using pronghorn::worker::WriteWatch;

// A server at its memory limit accepts one write and refuses the next.
TEST_CASE("refused writes count at once, accepted ones after three in a row", "[redis]") {
  WriteWatch watch;
  watch.tried("");
  CHECK_FALSE(watch.refused());
  watch.tried("OOM command not allowed");
  CHECK(watch.refused());
  for (int i = 0; i < 5; ++i) {
    watch.tried("");
    watch.tried("");
    CHECK(watch.refused());
    watch.tried("OOM again");
  }
  CHECK(watch.reason() == "OOM again");
  for (int i = 0; i < 3; ++i) watch.tried("");
  CHECK_FALSE(watch.refused());
  CHECK(watch.reason().empty());
}
