// Clients of WebSockets that break rules and limits: they are closed, and nobody else notices.
#include <memory>
#include <string>
#include <vector>

#include "framing/websocket_cases.h"
#include "integration/websocket/room_client.h"
#include "support/catch.h"
#include "support/processes/process.h"
#include "support/processes/server_process.h"
#include "worker/websocket/protocol/deflate.h"

using namespace pronghorn::test;

namespace {

// One server, and a client that behaves.
struct Hostile {
  ServerProcess server{ServerOptions{.workers = 1, .environment = kSmallQuarantine}};
  WebSocketClient bystander{server.address(), "/echo/socket"};
  pid_t worker = server.worker_pids().at(0);

  void check_bystander() {
    CHECK(bystander.send_text("still here"));
    CHECK(bystander.receive_text() == "still here");
    CHECK(server.worker_pids().at(0) == worker);
  }
  [[nodiscard]] WebSocketClient connect(bool compress = false) const {
    return WebSocketClient(server.address(), "/echo/socket", {.compress = compress});
  }
  // How much more memory the worker has had at its peak than before.
  template <class Attack>
  std::uint64_t peak_of(Attack attack) {
    const std::uint64_t before = peak_memory(worker);
    attack();
    return peak_memory(worker) - before;
  }
};

}  // namespace

TEST_CASE("frames that announce more than they may are refused without memory for them", "[websocket][hostile]") {
  Hostile test;
  const std::string mask = "\x37\xfa\x21\x3d";
  const std::uint64_t peak = test.peak_of([&] {
    for (const std::string& length : {std::string("\x7f\xff\xff\xff\xff\xff\xff\xff"),
                                      std::string("\0\0\0\x40\0\0\0\0", 8), std::string("\0\0\0\0\0\x10\0\1", 8)}) {
      WebSocketClient client = test.connect();
      CHECK(client.send_raw("\x82\xff" + length + mask));
      CHECK(close_code(client) == 1009);
    }
    for (const std::string& length :
         {std::string("\xff\xff\xff\xff\xff\xff\xff\xff"), std::string("\0\0\0\0\0\0\0\1", 8)}) {
      WebSocketClient client = test.connect();
      CHECK(client.send_raw("\x82\xff" + length + mask));
      CHECK(close_code(client) == 1002);
    }
    // Those that announce what they may, and send nothing of it.
    std::vector<std::unique_ptr<WebSocketClient>> clients;
    for (int i = 0; i < 100; ++i) {
      clients.push_back(std::make_unique<WebSocketClient>(test.server.address(), "/echo/socket"));
      CHECK(clients.back()->send_raw("\x82\xff" + std::string("\0\0\0\0\0\x10\0\0", 8) + mask));
    }
    test.check_bystander();
  });
  CHECK(peak < 32 * kMiB);
}

TEST_CASE("a compression bomb is closed with 1009 at the limit of a message", "[websocket][hostile][deflate]") {
  Hostile test;
  pronghorn::worker::Deflater deflater;
  std::string bomb;
  deflater.deflate(std::string(256 * kMiB, 'a'), {}, bomb);
  REQUIRE(bomb.size() < kMiB);
  const std::uint64_t peak = test.peak_of([&] {
    for (int i = 0; i < 5; ++i) {
      WebSocketClient client = test.connect(true);
      REQUIRE(client.compresses());
      CHECK(client.send_raw(raw_frame(2, bomb, {.reserved = 4})));
      CHECK(close_code(client) == 1009);
    }
  });
  CHECK(peak < 32 * kMiB);
  test.check_bystander();
}

TEST_CASE("a client that pings a thousand times a second is closed with 1008", "[websocket][hostile]") {
  Hostile test;
  WebSocketClient client = test.connect();
  std::string pings;
  for (int i = 0; i < 1000; ++i) pings += raw_frame(9, "ping");
  CHECK(client.send_raw(pings));
  int pongs = 0;
  WebSocketEvent event = client.receive();
  for (; event.kind == WebSocketEvent::Kind::pong; event = client.receive()) ++pongs;
  CHECK(event.describe() == "close 1008 too many control frames");
  CHECK(pongs >= 100);
  test.check_bystander();
}

TEST_CASE("a client that sends fragments without payload without end is closed with 1008", "[websocket][hostile]") {
  Hostile test;
  WebSocketClient client = test.connect();
  CHECK(client.send_raw(raw_frame(1, "", {.final = false})));
  const std::string empty = raw_frame(0, "", {.final = false});
  std::string flood;
  for (int i = 0; i < 10'000; ++i) flood += empty;
  for (int i = 0; i < 100 && client.send_raw(flood); ++i) {
  }
  CHECK(client.receive().describe() == "close 1008 too many small fragments");
  test.check_bystander();
}

TEST_CASE("what a client sends behind its close frame is dropped", "[websocket][hostile]") {
  Hostile test;
  WebSocketClient client = test.connect();
  CHECK(client.send_raw(raw_frame(1, "before") + raw_close(4000, "bye") + raw_frame(1, "after") + raw_close(4001) +
                        std::string(100'000, '\xff')));
  CHECK(client.receive().describe() == "text before");
  CHECK(client.receive().code == 4000);
  CHECK(client.receive().kind == WebSocketEvent::Kind::eof);
  CHECK(test.server.status().at("totals").at("websockets").at("closed_by_server") == 0);
  test.check_bystander();
}

TEST_CASE("clients that end without a close frame, or in the middle of one, are gone", "[websocket][hostile]") {
  Hostile test;
  for (const std::string& last :
       {std::string(), raw_frame(1, "half of it").substr(0, 8), raw_close(1000).substr(0, 3)}) {
    WebSocketClient client = test.connect();
    CHECK(client.send_raw(last));
    client.abort();
  }
  CHECK(eventually(20s, [&] { return test.server.status().at("totals").at("websockets").at("open") == 1; }));
  test.check_bystander();
}
