#include "worker/websocket/socket_service.h"

#include <stdexcept>
#include <string>
#include <vector>

#include "support/catch.h"
#include "unit/worker/websocket/test_socket_connection.h"

using namespace pronghorn;
using namespace pronghorn::worker;

namespace {

using Texts = std::vector<std::string>;
using Test = TestSocketConnection;

// Runs a task that does not wait; throws what it throws.
void run(Task<void> task) {
  task.start();
  REQUIRE(task.done());
  task.take();
}

}  // namespace

TEST_CASE("a socket of this worker is reached by its id", "[websocket][sockets]") {
  Test test({});
  test.start();
  Sockets sockets(test.service());
  run(sockets.send(std::string(kTestSocketId), "hello"));
  run(sockets.close(std::string(kTestSocketId), 4000, "out"));
  run(sockets.send(std::string(kTestSocketId), "is dropped"));
  test.end_turn();
  CHECK(test.heard() == Texts{"text hello", "close 4000 out"});
}

TEST_CASE("what cannot be sent to a socket is refused", "[websocket][sockets]") {
  Test test({});
  test.start();
  Sockets sockets(test.service());
  const std::string id(kTestSocketId);
  CHECK_THROWS_AS(run(sockets.send(id, "\xff")), std::invalid_argument);
  for (const std::uint16_t code : std::vector<std::uint16_t>{0, 999, 1002, 1004, 1005, 1006, 1015, 2999, 5000}) {
    INFO(code);
    CHECK_THROWS_AS(run(sockets.close(id, code)), std::invalid_argument);
  }
  CHECK_THROWS_AS(run(sockets.close(id, 1000, std::string(124, 'a'))), std::invalid_argument);
  CHECK_THROWS_AS(run(sockets.close(id, 1000, "\xff")), std::invalid_argument);
  test.end_turn();
  CHECK(test.heard().empty());
}

TEST_CASE("an id that names no socket of this worker needs Redis, one that is none is ignored",
          "[websocket][sockets]") {
  Test test({});
  test.start();
  Sockets sockets(test.service());
  CHECK_THROWS_AS(run(sockets.send("ffffffffffffffffffffffff", "a")), std::logic_error);
  run(sockets.send("", "a"));
  run(sockets.send("short", "a"));
  run(sockets.send(std::string(1000, 'f'), "a"));
}
