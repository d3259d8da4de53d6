#include "worker/connection/arrival.h"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "support/catch.h"
#include "unit/worker/http1/test_connection.h"
#include "unit/worker/runtime/test_loop.h"

using namespace pronghorn;
using namespace pronghorn::worker;
using namespace std::chrono_literals;

namespace {

constexpr const char* kRequest = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

using Wait = std::optional<Admission::Duration>;

// A connection of a worker. Its handler notes what it was told of each request.
class BusyWorker {
 public:
  explicit BusyWorker(bool answers = true)
      : connection([this, answers](Exchange& exchange) {
          pressed.push_back(exchange.pressed);
          waits.push_back(exchange.pressed ? exchange.waited : Wait());
          if (answers) exchange.owner->respond(exchange, text("ok"));
          running = &exchange;
        }) {
    connection.context().loop = loop.loop();
    uv_update_time(loop.loop());
  }
  // From now on every turn follows on a long one.
  void busy() {
    const auto now = Admission::Time::clock::now();
    connection.context().admission.turn_was_long(now - 1s, now + 1h);
  }

  TestLoop loop;
  std::vector<bool> pressed;
  std::vector<Wait> waits;
  Exchange* running = nullptr;
  TestConnection connection;
};

}  // namespace

TEST_CASE("the kernel is not asked about a request in a short turn", "[overload]") {
  BusyWorker test;
  test.connection.ask(kRequest);
  CHECK(test.pressed == std::vector{false});
  CHECK(test.connection.client().asked() == 0);
}

TEST_CASE("after a long turn the kernel is asked how long a request has waited", "[overload]") {
  BusyWorker test;
  test.busy();
  test.connection.client().set_wait({.age = 40ms});
  test.connection.ask(kRequest);
  CHECK(test.waits == std::vector{Wait(40ms)});
}

TEST_CASE("requests that were read together have waited together, and the kernel is asked once", "[overload]") {
  BusyWorker test;
  test.busy();
  test.connection.client().set_wait({.age = 40ms});
  test.connection.ask(std::string(kRequest) + kRequest + kRequest);
  CHECK(test.waits == std::vector{Wait(40ms), Wait(40ms), Wait(40ms)});
  CHECK(test.connection.client().asked() == 1);
}

TEST_CASE("it is unknown how long a request was delayed by more than the one before it", "[overload]") {
  BusyWorker test(false);
  test.busy();
  test.connection.client().set_wait({.age = 40ms});
  test.connection.ask(std::string(kRequest) + kRequest);
  REQUIRE(test.waits.size() == 1);
  test.running->owner->respond(*test.running, text("ok"));
  CHECK(test.waits == std::vector{Wait(40ms), Wait()});
}

TEST_CASE("what another worker has read is not measured", "[overload]") {
  BusyWorker test;
  test.busy();
  test.connection.client().set_wait({.age = 40ms});
  test.connection.connection().resume({}, {.unanswered = kRequest}, nullptr);
  CHECK(test.pressed == std::vector{true});
  CHECK(test.waits == std::vector{Wait()});
}

TEST_CASE("a socket that cannot tell has waited for as long as the loop was busy", "[overload]") {
  BusyWorker test;
  test.busy();
  test.connection.ask(kRequest);
  REQUIRE(test.waits.size() == 1);
  CHECK(test.waits.front() >= 1s);
}

TEST_CASE("a request whose client has reset the connection is not executed", "[overload]") {
  BusyWorker test;
  test.busy();
  test.connection.client().set_wait({.age = 4ms, .peer = PeerState::gone});
  test.connection.ask(kRequest);
  CHECK(test.waits.empty());
  CHECK_FALSE(test.connection.open());
  CHECK(test.connection.count(Count::lost_client_left) == 1);
  CHECK(test.connection.count(Count::in_flight) == 0);
}

TEST_CASE("a client that has closed its side is served if that is soon, and has given up if not", "[overload]") {
  BusyWorker soon;
  soon.busy();
  soon.connection.client().set_wait({.age = 100ms, .peer = PeerState::finished});
  CHECK(soon.connection.ask(kRequest).starts_with("HTTP/1.1 200"));
  BusyWorker late;
  late.connection.context().serves_since -= 1s;
  late.busy();
  late.connection.client().set_wait({.age = 101ms, .peer = PeerState::finished});
  CHECK(late.connection.ask(kRequest).empty());
  CHECK(late.connection.count(Count::lost_client_left) == 1);
}

// A worker was killed, and its replacement answered nothing that such a client had asked for meanwhile.
TEST_CASE("a client that has closed its side has waited for this worker only since it serves", "[overload]") {
  BusyWorker fresh;
  fresh.busy();
  fresh.connection.client().set_wait({.age = 3s, .peer = PeerState::finished});
  CHECK(fresh.connection.ask(kRequest).starts_with("HTTP/1.1 200"));
}

TEST_CASE("without overload control the kernel is not asked", "[overload]") {
  BusyWorker test;
  test.connection.context().admission = Admission(false);
  test.busy();
  test.connection.ask(kRequest);
  CHECK(test.pressed == std::vector{false});
  CHECK(test.connection.client().asked() == 0);
}
