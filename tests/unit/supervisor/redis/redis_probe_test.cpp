#include "supervisor/redis/redis_probe.h"

#include <sys/socket.h>

#include <chrono>
#include <string>
#include <string_view>

#include "common/fd.h"
#include "supervisor/listen/unix_socket.h"
#include "support/catch.h"
#include "support/temp_dir.h"

using namespace pronghorn::supervisor;
using pronghorn::Fd;
using namespace std::chrono_literals;

namespace {

// Stands for Redis: takes connections and answers when it is told to.
struct Server {
  pronghorn::test::TempDir folder;
  std::string path = folder / "redis.sock";
  UnixSocket socket{path, {}, 16};
  Fd client;

  void answer(std::string_view text) {
    if (!client) client = Fd(::accept(socket.fd(), nullptr, nullptr));
    REQUIRE(::send(client.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  }
};

}  // namespace

TEST_CASE("a Redis that answers anything is not silent", "[redis]") {
  Server server;
  RedisProbe probe(server.path);
  CHECK(probe.look(1'000) == 0ms);
  std::uint64_t now = 1'000;
  for (const char* answer : {"+PONG\r\n", "-LOADING Redis is loading\r\n", "-NOAUTH\r\n"}) {
    server.answer(answer);
    CHECK(probe.look(now += 1'000) == 0ms);
  }
  CHECK(probe.look(now + 1'000) == 1s);
  CHECK(probe.look(now + 2'000) == 2s);
  server.answer("+PONG\r\n");
  CHECK(probe.look(now + 3'000) == 0ms);
}

TEST_CASE("a Redis serves from its first answer that is not -LOADING", "[redis]") {
  Server server;
  RedisProbe probe(server.path);
  std::uint64_t now = 1'000;
  const auto serves_after = [&](std::string_view answer) {
    server.answer(answer);
    static_cast<void>(probe.look(now += 1'000));
    return probe.is_serving();
  };
  static_cast<void>(probe.look(now));
  CHECK_FALSE(probe.is_serving());
  CHECK_FALSE(serves_after("-LOADING Redis is loading the dataset in memory\r\n"));
  CHECK(serves_after("+PONG\r\n"));
  probe.reset();
  CHECK_FALSE(probe.is_serving());
  server.client.reset();
  static_cast<void>(probe.look(now += 1'000));
  CHECK(serves_after("-NOAUTH\r\n"));
}

TEST_CASE("a Redis that closes the connection answers, and is asked again", "[redis]") {
  Server server;
  RedisProbe probe(server.path);
  CHECK(probe.look(1'000) == 0ms);
  server.answer("-ERR max number of clients reached\r\n");
  server.client.reset();
  CHECK(probe.look(2'000) == 0ms);
  server.answer("+PONG\r\n");
  CHECK(probe.look(3'000) == 0ms);
}

TEST_CASE("a Redis that accepts no connections is silent until it does", "[redis]") {
  const pronghorn::test::TempDir folder;
  const std::string path = folder / "redis.sock";
  RedisProbe probe(path);
  CHECK(probe.look(1'000) == 0ms);
  CHECK(probe.look(2'000) == 1s);
  const UnixSocket socket(path, {}, 16);
  CHECK(probe.look(3'000) == 2s);
  const Fd client(::accept(socket.fd(), nullptr, nullptr));
  REQUIRE(::send(client.get(), "+PONG", 5, MSG_NOSIGNAL) == 5);
  CHECK(probe.look(4'000) == 0ms);
}

TEST_CASE("time in which the supervisor could not run is not Redis'", "[redis]") {
  Server server;
  RedisProbe probe(server.path);
  CHECK(probe.look(1'000) == 0ms);
  CHECK(probe.look(2'000) == 1s);
  CHECK(probe.look(60'000) == 0ms);
  CHECK(probe.look(61'000) == 1s);
  probe.reset();
  CHECK(probe.look(62'000) == 0ms);
}
