#include "supervisor/workers/workers.h"

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::supervisor;

namespace {

// Workers of a program that does not exist.
struct Fleet {
  uv_loop_t loop{};
  Scoreboard board = Scoreboard::create();
  HandoffQueue handoff = HandoffQueue::create();
  Listeners listeners{{"127.0.0.1:0"}, Balance::reuseport, 16, 2, 1};
  std::vector<std::string> cannot_start;
  std::optional<Children> children;
  std::optional<Workers> workers;

  Fleet() {
    uv_loop_init(&loop);
    children.emplace(&loop, [] {});
    workers.emplace(
        Workers::Environment{.loop = &loop,
                             .program = "/nonexistent/pronghorn",
                             .board = board,
                             .children = *children,
                             .listeners = listeners,
                             .admin_listeners = nullptr,
                             .handoff = handoff,
                             .passes_connections = false},
        Launch{.generation = 1, .config = std::make_shared<const Config>()},
        Workers::Callbacks{.on_ready = [](const WorkerEntry&) {},
                           .on_exit = [](const WorkerEntry&, const std::string&) {},
                           .on_cannot_start = [this](const std::string& reason) { cannot_start.push_back(reason); },
                           .on_unlinked = [](int, int) {},
                           .on_relay_unlinked = [](int, int) {},
                           .on_killed = [](const std::string&, std::uint64_t) {},
                           .on_ended = [](const EndedIncarnation&) {},
                           .on_quarantine = [](int, const ChannelMessage&) {},
                           .on_requests = [](const ChannelMessage&) {},
                           .on_jobs = [](const ChannelMessage&) {}});
  }
  ~Fleet() {
    workers.reset();
    children.reset();
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
  }
};

}  // namespace

// Such starts were retried forever.
TEST_CASE("when no worker's process can be made, the application cannot start", "[supervisor]") {
  Fleet fleet;
  REQUIRE(fleet.workers->scale(2) == 2);
  (void)fleet.workers->advance();
  REQUIRE(fleet.cannot_start.size() == 1);
  CHECK(fleet.cannot_start[0].find("/nonexistent/pronghorn: no such file") != std::string::npos);
}

TEST_CASE("a process that cannot be created is tried again once a worker has been ready", "[supervisor]") {
  Fleet fleet;
  fleet.workers->forget_failures();
  REQUIRE(fleet.workers->scale(1) == 1);
  CHECK(fleet.workers->advance() > 0);
  CHECK(fleet.cannot_start.empty());
}
