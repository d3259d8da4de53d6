// A worker that dies right after it has answered a handshake. It is run one instruction at a time until the client has
// its answer, and killed a little later: the next worker must go on behind what the client has got.
#include <cstdint>
#include <string>
#include <vector>

#include "integration/websocket/room_client.h"
#include "support/catch.h"
#include "support/clients/http_client.h"
#include "support/paths.h"
#include "support/processes/redis_process.h"
#include "support/processes/server_process.h"
#include "support/system/single_step.h"
#include "unit/worker/websocket/protocol/read_frames.h"

using namespace pronghorn::test;

namespace {

using Frames = std::vector<std::string>;

// Instructions from the answer on: before the first note of the socket itself, and behind it.
constexpr std::uint64_t kPoints[] = {0, 1'000};

class Newsroom {
 public:
  Newsroom() {
    for (int i = 0; i < 3; ++i) publish();
  }

  void publish() {
    ++events_;
    REQUIRE(post(publisher_.address(), "/news", "event " + std::to_string(events_)).status == 204);
  }
  // The events from this one on, as frames behind `first`.
  [[nodiscard]] Frames events_from(int first) const {
    Frames frames{"text welcome"};
    for (int i = first; i <= events_; ++i) frames.push_back("text event " + std::to_string(i));
    return frames;
  }
  [[nodiscard]] int next() const noexcept { return events_ + 1; }

  // What a client gets, up to and with `last`, whose worker dies so many instructions after the answer. One more event
  // is published then.
  Frames frames_of(const std::string& target, std::uint64_t later, const std::string& last) {
    REQUIRE(server_.wait_ready(1));
    // What a worker does for the first reader of a topic takes too long, one instruction at a time.
    WebSocketClient reader(server_.address(), "/news/after?after=0");
    while (reader.receive_text() != "event " + std::to_string(events_)) {
    }
    HttpConnection client(server_.address());
    {
      SingleStep worker(server_.worker_pids().at(0));
      worker.run_until_idle();
      REQUIRE(client.send_raw("GET " + target + " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n" +
                              "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + kKey +
                              "\r\n\r\n"));
      const auto end = Clock::now() + 60s;
      while (!client.readable_within(0ms) && Clock::now() < end) worker.run(20);
      REQUIRE(client.readable_within(0ms));
      worker.run(later);
      worker.kill();
    }
    publish();
    REQUIRE(client.read_response().status == 101);
    return read_frames(client.read_until(last), {.role = pronghorn::worker::WebSocketRole::client});
  }

 private:
  static ServerOptions options(const std::string& redis) {
    // One instruction at a time is slow: the worker must not be taken for one that is blocked or has too much to do.
    return {.app = app_path("apps/sockets"),
            .workers = 1,
            .redis = redis,
            .arguments = {"--overload", "off", "--stall-threshold", "60s", "--worker-timeout", "60s"},
            .environment = SingleStep::environment()};
  }

  RedisProcess redis_;
  ServerProcess server_{options(redis_.url())};
  ServerProcess publisher_{options(redis_.url())};
  int events_ = 0;
};

}  // namespace

TEST_CASE("a socket has its place in its topics from the answer to the handshake on", "[websocket][survival][points]") {
  if (!SingleStep::is_allowed()) return;
  Newsroom room;
  for (const std::uint64_t later : kPoints) {
    INFO("killed " << later << " instructions after the answer");
    const int second = room.next();
    const Frames from_second = room.frames_of("/news/after?after=1", later, "event " + std::to_string(second));
    CHECK(from_second == room.events_from(2));
    const int next = room.next();
    const Frames from_now = room.frames_of("/news/after", later, "event " + std::to_string(next));
    CHECK(from_now == room.events_from(next));
  }
}

TEST_CASE("a socket that `open` has closed stays closed when its worker dies", "[websocket][survival][points]") {
  if (!SingleStep::is_allowed()) return;
  Newsroom room;
  for (const std::uint64_t later : kPoints) {
    INFO("killed " << later << " instructions after the answer");
    CHECK(room.frames_of("/refusing", later, "not you") == Frames{"close 4001 not you"});
  }
}
