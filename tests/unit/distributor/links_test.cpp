// Which connections the distributor still holds, and to whom they go when a worker does not take them.
#include "distributor/links.h"

#include <sys/socket.h>

#include <optional>

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::distributor;

namespace {

Config round_robin(std::uint32_t max_connections) {
  Config config;
  config.balance = Balance::round_robin;
  config.http.max_connections = max_connections;
  return config;
}

// Workers that are only the other ends of links.
struct Fleet {
  uv_loop_t loop{};
  Scoreboard board = Scoreboard::create();
  std::vector<Client> returned;
  std::vector<int> lost;
  std::optional<Links> links;

  explicit Fleet(std::uint32_t max_connections = 0) {
    uv_loop_init(&loop);
    links.emplace(&loop, round_robin(max_connections), board,
                  Links::Callbacks{.returned = [this](Client client) { returned.push_back(std::move(client)); },
                                   .lost = [this](int pid) { lost.push_back(pid); },
                                   .changed = [] {}});
  }
  ~Fleet() {
    links.reset();
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
  }

  // Links a ready worker, with `slot` + 100 as its pid. Returns its end.
  std::unique_ptr<Channel> worker(std::uint32_t slot, std::vector<std::uint64_t>& tickets) {
    board.worker(slot, 0).phase.store(WorkerPhase::ready);
    const auto [ours, theirs] = make_channel_pair();
    links->add(static_cast<int>(slot) + 100, std::to_string(slot) + " 0", ours);
    return std::make_unique<Channel>(&loop, theirs,
                                     Channel::Callbacks{[&tickets](const Message& message, int fd) {
                                                          tickets.push_back(message.number);
                                                          if (fd >= 0) ::close(fd);
                                                        },
                                                        [] {}});
  }
  bool pass() {
    Client client{supervisor::Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), 0};
    return links->pass(client);
  }
  void turn() { uv_run(&loop, UV_RUN_NOWAIT); }
};

}  // namespace

TEST_CASE("one confirmation confirms all connections before it", "[distributor]") {
  Fleet fleet;
  std::vector<std::uint64_t> tickets;
  const auto worker = fleet.worker(0, tickets);
  for (int i = 0; i < 5; ++i) REQUIRE(fleet.pass());
  fleet.turn();
  REQUIRE(tickets.size() == 5);
  CHECK(fleet.links->unconfirmed() == 5);
  worker->send({MessageKind::accepted, tickets[3], {}});
  fleet.turn();
  CHECK(fleet.links->unconfirmed() == 1);
  CHECK(fleet.returned.empty());
}

TEST_CASE("a connection that a worker could not take comes back, and the worker is spared for a while",
          "[distributor]") {
  Fleet fleet;
  std::vector<std::uint64_t> tickets;
  const auto worker = fleet.worker(0, tickets);
  for (int i = 0; i < 3; ++i) REQUIRE(fleet.pass());
  fleet.turn();
  worker->send({MessageKind::accepted, tickets[2], std::to_string(tickets[1]) + " "});
  fleet.turn();
  CHECK(fleet.returned.size() == 1);
  CHECK(fleet.links->unconfirmed() == 0);
  CHECK_FALSE(fleet.pass());
}

// What it has taken must not be served again by another worker: that one would wait for a request that was read.
TEST_CASE("of a dead worker's connections those come back that it has not confirmed", "[distributor]") {
  Fleet fleet;
  std::vector<std::uint64_t> tickets;
  auto worker = fleet.worker(0, tickets);
  for (int i = 0; i < 3; ++i) REQUIRE(fleet.pass());
  fleet.turn();
  worker->send({MessageKind::accepted, tickets[0], {}});  // not read yet when the supervisor says that it is gone
  worker.reset();
  fleet.links->worker_gone(100);
  CHECK(fleet.returned.size() == 2);
  fleet.links->sweep();
  CHECK_FALSE(fleet.links->any());
}

// The child of a worker that was forked without exec keeps the link open.
TEST_CASE("connections of a dead worker come back although its end of the link is open", "[distributor]") {
  Fleet fleet;
  std::vector<std::uint64_t> tickets;
  const auto worker = fleet.worker(0, tickets);
  REQUIRE(fleet.pass());
  fleet.links->worker_gone(100);
  CHECK(fleet.returned.size() == 1);
  CHECK(fleet.lost.empty());
}

TEST_CASE("a link that ends unasked is reported", "[distributor]") {
  Fleet fleet;
  std::vector<std::uint64_t> tickets;
  fleet.worker(0, tickets).reset();
  fleet.turn();
  CHECK(fleet.lost == std::vector<int>{100});
  fleet.links->add(101, "1 0", -1);  // no descriptor was left for it
  CHECK(fleet.lost == std::vector<int>{100, 101});
}

TEST_CASE("a closed link gets nothing and ends with its last confirmation", "[distributor]") {
  Fleet fleet;
  std::vector<std::uint64_t> tickets;
  const auto worker = fleet.worker(0, tickets);
  REQUIRE(fleet.pass());
  fleet.links->close(100);
  CHECK_FALSE(fleet.pass());
  fleet.links->sweep();
  CHECK(fleet.links->any());
  fleet.turn();
  worker->send({MessageKind::accepted, tickets[0], {}});
  fleet.turn();
  fleet.links->sweep();
  CHECK_FALSE(fleet.links->any());
}

TEST_CASE("a full worker gets no connections", "[distributor]") {
  Fleet fleet(2);
  std::vector<std::uint64_t> tickets;
  const auto worker = fleet.worker(0, tickets);
  fleet.board.worker(0, 0)[Count::connections].store(1);
  CHECK(fleet.pass());
  CHECK_FALSE(fleet.pass());
}

TEST_CASE("a draining worker gets connections only when the server stops", "[distributor]") {
  Fleet fleet;
  std::vector<std::uint64_t> tickets;
  const auto worker = fleet.worker(0, tickets);
  fleet.board.worker(0, 0).phase.store(WorkerPhase::draining);
  CHECK_FALSE(fleet.pass());
  fleet.board.server().draining.store(1);
  CHECK(fleet.pass());
}
