#include "worker/websocket/frame_rate.h"

#include "support/catch.h"

using namespace pronghorn::worker;

namespace {

constexpr std::uint64_t kSecond = 1000 / kTickMs;  // in ticks

template <class Take>
int taken(Take take, int attempts) {
  int count = 0;
  for (int i = 0; i < attempts; ++i) count += take() ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("control frames may come in bursts, and 20 a second on average", "[websocket][limits]") {
  FrameRate rate;
  CHECK(taken([&] { return rate.take_control(1000); }, 1000) == 100);
  CHECK(taken([&] { return rate.take_control(1000 + kSecond); }, 1000) == 20);
  CHECK(taken([&] { return rate.take_control(1000 + kSecond * 3); }, 1000) == 40);
  CHECK(taken([&] { return rate.take_control(1000 + kSecond * 1'000'000); }, 1000) == 100);  // never more
}

TEST_CASE("messages may come at ten seconds' worth at once, then at their rate", "[websocket][limits]") {
  FrameRate rate;
  CHECK(taken([&] { return rate.take_message(0, 3); }, 1000) == 30);
  CHECK(taken([&] { return rate.take_message(kSecond * 2, 3); }, 1000) == 6);
  CHECK(taken([&] { return rate.take_message(kSecond * 2, 0); }, 1000) == 1000);  // 0: no limit
}

TEST_CASE("frames that arrive together are taken together or not at all", "[websocket][limits]") {
  FrameRate rate;
  CHECK_FALSE(rate.take_control(0, 101));
  CHECK(rate.take_control(0, 99));
  CHECK(rate.take_control(0, 0));
  CHECK_FALSE(rate.take_control(0, 2));
  CHECK(rate.take_control(0, 1));
  CHECK_FALSE(rate.take_message(0, 5, 51));
  CHECK(rate.take_message(0, 5, 50));
  CHECK(rate.take_message(0, 0, 4'000'000'000));
}

TEST_CASE("a client that keeps to the rate is never refused", "[websocket][limits]") {
  FrameRate rate;
  for (std::uint64_t tick = 0; tick < 10'000; ++tick) {
    CHECK(rate.take_message(tick, kSecond));  // one a tick
    if (tick % 4 == 0) CHECK(taken([&] { return rate.take_control(tick); }, 20) == 20);
  }
}
