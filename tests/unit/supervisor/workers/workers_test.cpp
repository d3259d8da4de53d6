#include "supervisor/workers/workers.h"

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::supervisor;

namespace {

struct Fleet {
  uv_loop_t loop{};
  Scoreboard board = Scoreboard::create();
  HandoffQueue handoff = HandoffQueue::create();
  Listeners listeners{{"127.0.0.1:0"}, Balance::reuseport, 16, 2, 1};
  std::vector<std::string> cannot_start;
  std::optional<Children> children;
  std::optional<Workers> workers;

  // By default the workers' program does not exist.
  explicit Fleet(const std::string& program = "/nonexistent/pronghorn") {
    uv_loop_init(&loop);
    children.emplace(&loop, [] {});
    workers.emplace(
        Workers::Environment{.loop = &loop,
                             .program = program,
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
                           .on_listener_missed = [](int) {},
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

// All starts were made in one turn. On a busy machine a fork takes long, and with a hundred workers the supervisor
// answered no command for minutes, missed the service manager's watchdog and did not stop.
TEST_CASE("of many workers that are due one is started per turn, so that commands are answered in between",
          "[supervisor]") {
  Fleet fleet("/bin/true");
  REQUIRE(fleet.workers->scale(3) == 3);
  for (const std::size_t expected : {1U, 2U, 3U}) {
    const std::uint64_t before = monotonic_ms();
    const std::uint64_t due = fleet.workers->advance();
    CHECK(fleet.workers->slots().count() == expected);
    if (expected < 3) {
      CHECK(due <= monotonic_ms());  // the next one is due at once
    } else {
      CHECK(due > before);
    }
  }
}
