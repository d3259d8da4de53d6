#include "worker/http2/protocol/patience.h"

#include "support/catch.h"

using namespace pronghorn::worker;

namespace {

constexpr std::uint64_t kLimitMs = 30'000;
constexpr std::uint64_t kMinimum = 500;  // bytes per second

// Seconds until a client that takes so many bytes in each of them has gone too far; at most 10,000.
int lasts(std::size_t bytes_per_second, std::uint64_t minimum = kMinimum) {
  constexpr std::uint64_t kTicksPerSecond = 1000 / kTickMs;
  Patience patience;
  for (int second = 1; second < 10'000; ++second) {
    for (std::uint64_t tick = 0; tick < kTicksPerSecond; ++tick) patience.wait(kLimitMs);
    if (patience.over(kLimitMs)) return second;
    if (bytes_per_second != 0) patience.took(bytes_per_second, minimum);
  }
  return 10'000;
}

}  // namespace

TEST_CASE("a client that takes nothing is waited for until the limit", "[http2]") {
  CHECK(lasts(0) == 30);
  CHECK(lasts(0, 0) == 30);
}

TEST_CASE("a client that takes less than the minimum is waited for longer, not for ever", "[http2]") {
  CHECK(lasts(10) == 31);
  CHECK(lasts(250) == 59);
}

TEST_CASE("a client that takes the minimum is waited for as long as it needs", "[http2]") {
  CHECK(lasts(500) == 10'000);
  CHECK(lasts(1, 0) == 10'000);
}

TEST_CASE("a limit of zero waits for ever", "[http2]") {
  Patience patience;
  for (int i = 0; i < 1000; ++i) patience.wait(0);
  CHECK_FALSE(patience.over(0));
}
