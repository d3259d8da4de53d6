// Everything at once against one server: clients of all kinds, while workers are killed, versions reloaded, workers
// added and removed, Redis refuses writes and the disk of the log is full. `./scripts/soak` runs it for minutes.
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iostream>

#include "integration/soak/soak_clients.h"
#include "integration/workers/surroundings.h"
#include "support/catch.h"
#include "support/paths.h"
#include "support/processes/redis_process.h"
#include "support/system/plain_signals.h"

using namespace pronghorn::test;

namespace {

constexpr int kWorkers = 3;

int number_from(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::stoi(text);
}

// A disk of 64 KiB, which an access log fills at once. Without root, a device that is always full.
class SmallDisk {
 public:
  SmallDisk() : mounted_(::geteuid() == 0 && ::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, "size=64k") == 0) {}
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  [[nodiscard]] std::string log() const { return mounted_ ? folder_ / "access.log" : "/dev/full"; }
  // Until the log has filled it again.
  void make_room() const {
    if (mounted_) std::filesystem::resize_file(log(), 0);
  }

 private:
  TempDir folder_;
  bool mounted_;
};

// Figures without a request, which would count as traffic.
nlohmann::json status_of(const ServerProcess& server) {
  const ProgramResult result = server.control_command({"status", "--json"});
  INFO(result.all());
  REQUIRE(!result.out.empty());
  return nlohmann::json::parse(result.out);
}

bool all_ready(const nlohmann::json& status) {
  const auto& workers = status.at("workers");
  return workers.size() == static_cast<std::size_t>(status.at("server").at("slots")) &&
         std::ranges::all_of(workers, [](const auto& worker) { return worker.at("state") == "ready"; });
}

bool wait_all_ready(const ServerProcess& server) {
  return eventually(60s, [&] { return all_ready(status_of(server)); }, 50ms);
}

// What is done to the server, in rounds: each round has each kind once, in an order of its own.
class Disturbances {
 public:
  Disturbances(const ServerProcess& server, const RedisProcess& redis, const SmallDisk& disk, std::uint32_t seed)
      : server_(server), redis_(redis), disk_(disk), random_(seed) {}

  void round() {
    std::array<void (Disturbances::*)(), 5> kinds{&Disturbances::kill_worker, &Disturbances::reload,
                                                  &Disturbances::scale, &Disturbances::refuse_writes,
                                                  &Disturbances::fill_disk};
    std::ranges::shuffle(kinds, random_);
    for (const auto kind : kinds) (this->*kind)();
    ++rounds_;
  }
  [[nodiscard]] int kills() const noexcept { return kills_; }
  [[nodiscard]] int rounds() const noexcept { return rounds_; }

 private:
  void kill_worker() {
    const auto status = status_of(server_);
    const auto& workers = status.at("workers");
    const pid_t victim = workers.at(random_() % workers.size()).at("pid");
    if (victim <= 0 || ::kill(victim, SIGKILL) != 0) return;
    ++kills_;
    REQUIRE(wait_all_ready(server_));
  }
  void reload() {
    REQUIRE(wait_all_ready(server_));
    const ProgramResult result = server_.control_command({"reload", "--wait"}, 60s);
    INFO(result.all());
    CHECK(result.status == 0);
  }
  void scale() {
    for (const int workers : {kWorkers + 1, kWorkers}) {
      CHECK(server_.control_command({"scale", std::to_string(workers)}).status == 0);
      REQUIRE(wait_all_ready(server_));
    }
  }
  void refuse_writes() {
    REQUIRE(redis_.command({"CONFIG", "SET", "min-replicas-to-write", "1"}) == "OK");
    CHECK(eventually(10s, [&] { return status_of(server_).at("redis").at("state") == "down"; }, 50ms));
    REQUIRE(redis_.command({"CONFIG", "SET", "min-replicas-to-write", "0"}) == "OK");
  }
  void fill_disk() {
    const auto dropped = [&] {
      return status_of(server_).at("totals").at("log_lines_dropped").template get<std::uint64_t>();
    };
    disk_.make_room();
    const std::uint64_t before = dropped();
    CHECK(eventually(20s, [&] { return dropped() > before; }, 50ms));
  }

  const ServerProcess& server_;
  const RedisProcess& redis_;
  const SmallDisk& disk_;
  std::mt19937 random_;
  int kills_ = 0;
  int rounds_ = 0;
};

// What the server has counted while the clients ran.
class Counted {
 public:
  Counted(const nlohmann::json& before, const nlohmann::json& after)
      : before_(before.at("totals")), after_(after.at("totals")) {}
  [[nodiscard]] std::uint64_t operator()(const std::string& path) const {
    const nlohmann::json::json_pointer at("/" + path);
    return after_.at(at).get<std::uint64_t>() - before_.at(at).get<std::uint64_t>();
  }

 private:
  nlohmann::json before_;
  nlohmann::json after_;
};

void check_counters(const SoakCounts& seen, const Counted& counted) {
  const std::uint64_t left = counted("lost_requests/client_left");
  const std::uint64_t lost = counted("lost_requests/worker_died") + counted("lost_requests/cut");
  const std::uint64_t sent = seen.all_answered() + seen.aborted + seen.unanswered;
  INFO("requests " << counted("requests") << ", client left " << left << ", lost " << lost << ", sent " << sent);
  std::uint64_t responses = 0;
  for (const int code : {2, 3, 4, 5}) {
    const std::uint64_t of_class = counted("responses/" + std::to_string(code) + "xx");
    INFO(code << "xx: counted " << of_class << ", seen " << seen.answered[code]);
    // A worker that dies while a response leaves has not counted it; another one sends the rest.
    CHECK(seen.answered[code] <= of_class + counted("restarts"));
    CHECK(of_class <= seen.answered[code] + seen.aborted + seen.unanswered);
    responses += of_class;
  }
  CHECK(responses == counted("requests"));
  // Each request that a worker has begun is counted once; others had not been looked at when their connection ended.
  CHECK(counted("requests") + left + lost <= sent + counted("restarts"));
  CHECK(left <= seen.aborted + seen.unanswered);
  CHECK(seen.broken - seen.unread - seen.idle <= lost);
}

}  // namespace

TEST_CASE("soak: everything at once leaves nothing behind, and the counters are what the clients saw",
          "[soak][load][redis]") {
  const auto seconds = std::chrono::seconds(number_from("PRONGHORN_SOAK_SECONDS", 6));
  const auto seed = static_cast<std::uint32_t>(number_from("PRONGHORN_SOAK_SEED", 20261129));
  std::cout << "soak: " << seconds.count() << " s, PRONGHORN_SOAK_SEED=" << seed << std::endl;
  const RedisProcess redis;
  const SmallDisk disk;
  const ServerProcess server({.workers = kWorkers,
                              .redis = redis.url(),
                              .arguments = {"--access-log", disk.log(), "--drain-timeout", "10s", "--overload", "off"},
                              .environment = kPlainSignals});
  REQUIRE(server.wait_redis());
  // What stays from the first time on: the listener of a slot that is scaled away, the copy of the version before.
  REQUIRE(server.control_command({"scale", std::to_string(kWorkers + 1)}).status == 0);
  REQUIRE(wait_all_ready(server));
  REQUIRE(server.control_command({"reload", "--wait"}, 60s).status == 0);
  REQUIRE(server.control_command({"scale", std::to_string(kWorkers)}).status == 0);
  REQUIRE(wait_all_ready(server));
  for (int i = 0; i < 20 * kWorkers; ++i) static_cast<void>(get(server.address(), "/hello"));
  const Surroundings surroundings(server);
  REQUIRE(eventually(10s, [&] { return status_of(server).at("totals").at("connections") == 0; }));
  const nlohmann::json before = status_of(server);
  const std::uint64_t memory = resident_memory(server.pid());

  SoakClients clients(server.address(), seed);
  Disturbances disturbances(server, redis, disk, seed);
  const auto end = Clock::now() + seconds;
  do {
    disturbances.round();
  } while (Clock::now() < end);
  REQUIRE(eventually(30s, [&] { return status_of(server).at("redis").at("state") == "up"; }, 50ms));
  const SoakCounts seen = clients.stop();

  nlohmann::json after;
  CHECK(eventually(
      30s,
      [&] {
        after = status_of(server);
        const auto& totals = after.at("totals");
        return all_ready(after) && totals.at("connections") == 0 && totals.at("in_flight") == 0;
      },
      50ms));
  const Counted counted(before, after);
  std::cout << "soak: " << disturbances.rounds() << " rounds; " << seen.text()
            << "\n      counted: " << counted("requests") << " requests, lost "
            << after.at("totals").at("lost_requests").dump() << ", log lines dropped " << counted("log_lines_dropped")
            << std::endl;
  CHECK(seen.mistakes.empty());
  CHECK(seen.answered[2] > 100);
  check_counters(seen, counted);
  CHECK(seen.refused <= static_cast<std::uint64_t>(disturbances.kills() * SoakClients::kOfEachKind));
  CHECK(counted("restarts") == static_cast<std::uint64_t>(disturbances.kills()));
  CHECK(after.at("quarantine").empty());
  surroundings.check_unchanged();
  CHECK(resident_memory(server.pid()) < memory + (24U << 20));
  // AddressSanitizer keeps freed memory, up to 256 MiB.
  const std::uint64_t most = is_sanitized() ? 768U << 20 : 256U << 20;
  for (const pid_t pid : server.worker_pids()) CHECK(resident_memory(pid) < most);
}
