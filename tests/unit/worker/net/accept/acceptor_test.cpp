#include "worker/net/accept/acceptor.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "support/catch.h"
#include "unit/worker/runtime/test_loop.h"

using namespace pronghorn;
using namespace pronghorn::worker;

namespace {

// A listener, and clients that are connected to it and not accepted yet.
class Queue {
 public:
  Queue() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
    name_.sin_family = AF_INET;
    name_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name_;
    REQUIRE(::bind(listener_, name(), size) == 0);
    REQUIRE(::listen(listener_, 16) == 0);
    REQUIRE(::getsockname(listener_, name(), &size) == 0);
  }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  ~Queue() {
    for (const int client : clients_) ::close(client);
    ::close(listener_);
  }
  void connect() {
    clients_.push_back(::socket(AF_INET, SOCK_STREAM, 0));
    REQUIRE(::connect(clients_.back(), name(), sizeof name_) == 0);
  }
  int listener() const { return listener_; }

 private:
  sockaddr* name() { return reinterpret_cast<sockaddr*>(&name_); }

  int listener_;
  sockaddr_in name_{};
  std::vector<int> clients_;
};

}  // namespace

TEST_CASE("an acceptor knows how many clients wait for this worker", "[overload]") {
  Queue queue;
  TestLoop loop;
  const auto row = std::make_unique<WorkerRow>();
  AcceptPauses pauses(*row);
  Acceptor acceptor(loop.loop(), queue.listener(), false, *row, pauses, [](int fd, const auto&) { ::close(fd); });
  CHECK(acceptor.waiting() == 0);
  for (int i = 0; i < 3; ++i) queue.connect();
  CHECK(acceptor.waiting() == 3);
  acceptor.start();
  acceptor.empty_queue();
  CHECK(acceptor.waiting() == 0);

  const Acceptor shared(loop.loop(), queue.listener(), true, *row, pauses, [](int fd, const auto&) { ::close(fd); });
  queue.connect();
  CHECK(shared.waiting() == 0);
}

// Clients that connected faster than they were served kept a worker that drained from its loop.
TEST_CASE("an acceptor that empties its queue does not accept who connects meanwhile", "[accept]") {
  Queue queue;
  TestLoop loop;
  const auto row = std::make_unique<WorkerRow>();
  AcceptPauses pauses(*row);
  int accepted = 0;
  Acceptor acceptor(loop.loop(), queue.listener(), false, *row, pauses, [&](int fd, const auto&) {
    ::close(fd);
    if (++accepted < 100) queue.connect();
  });
  for (int i = 0; i < 3; ++i) queue.connect();
  acceptor.start();
  acceptor.empty_queue();
  CHECK(accepted == 3);
  CHECK(acceptor.waiting() == 3);
}

// At twice of what a worker can do, a client connected during each request: up to 64 requests, of 2 ms each, were
// executed before those of clients that were connected already.
TEST_CASE("an acceptor whose clients take long lets others have their turn", "[accept][overload]") {
  Queue queue;
  TestLoop loop;
  const auto row = std::make_unique<WorkerRow>();
  AcceptPauses pauses(*row);
  int accepted = 0;
  Acceptor acceptor(loop.loop(), queue.listener(), false, *row, pauses, [&](int fd, const auto&) {
    ::close(fd);
    ++accepted;
    queue.connect();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  queue.connect();
  acceptor.start();
  uv_run(loop.loop(), UV_RUN_NOWAIT);
  CHECK(accepted > 0);
  CHECK(accepted < 16);
}
