#include "worker/state/redis/cluster/refresh_pacer.h"

#include "support/catch.h"

using pronghorn::worker::RefreshPacer;

TEST_CASE("the first map is fetched at once, the next when something asks for it", "[redis][cluster]") {
  RefreshPacer pacer;
  pacer.want();
  CHECK(pacer.due_ms(0) == 0);
  pacer.began(1'000);
  pacer.ended(true);
  CHECK(pacer.due_ms(0) == 1'000 + RefreshPacer::kCalmMs);
  pacer.want();
  CHECK(pacer.due_ms(0) == 1'000 + RefreshPacer::kShortestMs);
}

TEST_CASE("while nothing changes the map is fetched once a second, however often it is asked for", "[redis][cluster]") {
  RefreshPacer pacer;
  std::uint64_t now = 1'000;
  int fetched = 0;
  for (const std::uint64_t end = now + 60'000; now < end; ++now) {
    pacer.want();
    if (pacer.due_ms(0) > now) continue;
    pacer.began(now);
    pacer.ended(false);
    ++fetched;
  }
  CHECK(fetched >= 60);
  CHECK(fetched <= 64);
  // A change makes the next one quick again.
  pacer.began(now);
  pacer.ended(true);
  pacer.want();
  CHECK(pacer.due_ms(0) == now + RefreshPacer::kShortestMs);
}

TEST_CASE("workers do not fetch the map in step", "[redis][cluster]") {
  RefreshPacer pacer;
  pacer.began(1'000);
  pacer.ended(false);
  pacer.want();
  CHECK(pacer.due_ms(255) > pacer.due_ms(0));
}
