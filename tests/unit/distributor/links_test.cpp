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

// The other end of a link. It takes no connection by itself.
struct FakeWorker {
  std::unique_ptr<Channel> channel;
  std::optional<LinkClaims> claims;
  std::vector<std::uint64_t> tickets;  // of the connections that it has received

  void confirm(std::uint64_t ticket, const std::string& not_taken = {}) const {
    channel->send({MessageKind::accepted, ticket, not_taken});
  }
};

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

  // Links a ready worker, with `slot` + 100 as its pid.
  std::unique_ptr<FakeWorker> worker(std::uint32_t slot) {
    board.worker(slot, 0).phase.store(WorkerPhase::ready);
    const auto [ours, theirs] = make_channel_pair();
    links->add(static_cast<int>(slot) + 100, std::to_string(slot) + " 0", ours);
    auto worker = std::make_unique<FakeWorker>();
    FakeWorker& self = *worker;
    const auto received = [&self](const ChannelMessage& message, int fd) {
      if (message.kind == MessageKind::claims) {
        self.claims = LinkClaims::attach(fd);
        return;
      }
      self.tickets.push_back(message.number);
      if (fd >= 0) ::close(fd);
    };
    worker->channel = std::make_unique<Channel>(&loop, theirs, Channel::Callbacks{received, [] {}});
    return worker;
  }
  bool pass() {
    Client client{Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), 0};
    return links->pass(client);
  }
  void turn() { uv_run(&loop, UV_RUN_NOWAIT); }
};

}  // namespace

TEST_CASE("one confirmation confirms all connections before it", "[distributor]") {
  Fleet fleet;
  const auto worker = fleet.worker(0);
  for (int i = 0; i < 5; ++i) REQUIRE(fleet.pass());
  fleet.turn();
  REQUIRE(worker->tickets.size() == 5);
  CHECK(fleet.links->unconfirmed() == 5);
  worker->confirm(worker->tickets[3]);
  fleet.turn();
  CHECK(fleet.links->unconfirmed() == 1);
  CHECK(fleet.returned.empty());
}

TEST_CASE("a connection that a worker could not take comes back, and the worker is spared for a while",
          "[distributor]") {
  Fleet fleet;
  const auto worker = fleet.worker(0);
  for (int i = 0; i < 3; ++i) REQUIRE(fleet.pass());
  fleet.turn();
  worker->confirm(worker->tickets[2], std::to_string(worker->tickets[1]) + " ");
  fleet.turn();
  CHECK(fleet.returned.size() == 1);
  CHECK(fleet.links->unconfirmed() == 0);
  CHECK_FALSE(fleet.pass());
}

// The kernel refuses to send a descriptor while the user has too many under way. A worker without claims refuses all.
TEST_CASE("a worker that has not got the claims of its link gets them when it refuses a connection", "[distributor]") {
  Fleet fleet;
  const auto worker = fleet.worker(0);
  REQUIRE(fleet.pass());
  fleet.turn();
  worker->claims.reset();
  worker->confirm(worker->tickets[0], std::to_string(worker->tickets[0]) + " ");
  fleet.turn();
  fleet.turn();
  REQUIRE(worker->claims);
  CHECK(worker->claims->take(worker->tickets[0] + 1));
}

// What it has taken must not be served again: its guardian passes that on, and two workers would read from one client.
TEST_CASE("of a dead worker's connections those come back that it has not taken", "[distributor]") {
  Fleet fleet;
  auto worker = fleet.worker(0);
  for (int i = 0; i < 3; ++i) REQUIRE(fleet.pass());
  fleet.turn();
  CHECK(worker->claims->take(worker->tickets[0]));
  CHECK(worker->claims->take(worker->tickets[1]));
  worker->confirm(worker->tickets[0]);  // not read yet when the supervisor says that it is gone
  worker.reset();
  fleet.links->worker_gone(100);
  CHECK(fleet.returned.size() == 1);
  CHECK(fleet.links->unconfirmed() == 0);
  fleet.links->sweep();
  CHECK_FALSE(fleet.links->any());
}

TEST_CASE("a worker that stands still loses what it has not taken", "[distributor]") {
  Fleet fleet;
  const auto worker = fleet.worker(0);
  for (int i = 0; i < 3; ++i) REQUIRE(fleet.pass());
  fleet.turn();
  CHECK(worker->claims->take(worker->tickets[0]));
  fleet.links->close(100);
  CHECK(fleet.returned.size() == 2);
  CHECK(fleet.links->unconfirmed() == 1);
  CHECK_FALSE(worker->claims->take(worker->tickets[1]));
}

// The child of a worker that was forked without exec keeps the link open.
TEST_CASE("connections of a dead worker come back although its end of the link is open", "[distributor]") {
  Fleet fleet;
  const auto worker = fleet.worker(0);
  REQUIRE(fleet.pass());
  fleet.links->worker_gone(100);
  CHECK(fleet.returned.size() == 1);
  CHECK(fleet.lost.empty());
}

TEST_CASE("a link that ends unasked is reported", "[distributor]") {
  Fleet fleet;
  fleet.worker(0).reset();
  fleet.turn();
  CHECK(fleet.lost == std::vector<int>{100});
  fleet.links->add(101, "1 0", -1);  // no descriptor was left for it
  CHECK(fleet.lost == std::vector<int>{100, 101});
}

TEST_CASE("a closed link gets nothing and ends with its last confirmation", "[distributor]") {
  Fleet fleet;
  const auto worker = fleet.worker(0);
  REQUIRE(fleet.pass());
  fleet.turn();
  REQUIRE(worker->claims->take(worker->tickets[0]));
  fleet.links->close(100);
  CHECK_FALSE(fleet.pass());
  fleet.links->sweep();
  CHECK(fleet.links->any());
  worker->confirm(worker->tickets[0]);
  fleet.turn();
  fleet.links->sweep();
  CHECK_FALSE(fleet.links->any());
}

TEST_CASE("a full worker gets no connections", "[distributor]") {
  Fleet fleet(2);
  const auto worker = fleet.worker(0);
  fleet.board.worker(0, 0)[Count::connections].store(1);
  CHECK(fleet.pass());
  CHECK_FALSE(fleet.pass());
}

TEST_CASE("a draining worker gets connections only when the server stops", "[distributor]") {
  Fleet fleet;
  const auto worker = fleet.worker(0);
  fleet.board.worker(0, 0).phase.store(WorkerPhase::draining);
  CHECK_FALSE(fleet.pass());
  fleet.board.server().draining.store(1);
  CHECK(fleet.pass());
}
