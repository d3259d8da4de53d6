// Whatever happens to workers, nothing of it is left: no process, descriptor, file or mapping; and the counters add up.
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>

#include "support/catch.h"
#include "support/load_generator.h"
#include "support/memory_group.h"
#include "support/plain_signals.h"
#include "support/server_process.h"

using namespace pronghorn::test;

namespace {

std::set<std::string> files_in(const std::string& directory) {
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) files.insert(entry.path());
  return files;
}

// Copies of the application: of the generation that runs, and of the one to go back to.
std::size_t copies(const ServerProcess& server) {
  const auto all = std::filesystem::directory_iterator(server.file("run/apps"));
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

// Mappings of shared memory that has no name in the file system.
std::size_t shared_mappings(pid_t pid) {
  const std::string maps = read_file("/proc/" + std::to_string(pid) + "/maps");
  std::size_t count = 0;
  for (auto at = maps.find("/memfd:"); at != std::string::npos; at = maps.find("/memfd:", at + 1)) ++count;
  return count;
}

// What a server has while nothing happens.
class Surroundings {
 public:
  explicit Surroundings(const ServerProcess& server)
      : server_(server),
        processes_(server.processes().size()),
        supervisor_descriptors_(open_descriptors(server.pid())),
        worker_descriptors_(most_descriptors()),
        mappings_(shared_mappings(server.pid())),
        files_(files_in(server.file("run"))) {}

  void check_unchanged() const {
    CHECK(eventually(10s, [this] { return server_.processes().size() == processes_; }));
    CHECK(eventually(10s, [this] { return open_descriptors(server_.pid()) <= supervisor_descriptors_; }));
    CHECK(eventually(10s, [this] { return most_descriptors() <= worker_descriptors_; }));
    CHECK(shared_mappings(server_.pid()) == mappings_);
    CHECK(files_in(server_.file("run")) == files_);
    CHECK(eventually(10s, [this] { return copies(server_) <= 2; }));
  }

 private:
  [[nodiscard]] std::size_t most_descriptors() const {
    std::size_t most = 0;
    for (const pid_t pid : server_.worker_pids()) most = std::max(most, open_descriptors(pid));
    return most;
  }

  const ServerProcess& server_;
  std::size_t processes_;
  std::size_t supervisor_descriptors_;
  std::size_t worker_descriptors_;
  std::size_t mappings_;
  std::set<std::string> files_;
};

void check_counters(const ServerProcess& server, int restarts) {
  nlohmann::json status;
  const bool quiet = eventually(5s, [&] {  // the connection of the request before may just be closing
    status = server.status();
    return status.at("totals").at("connections") == 1 && status.at("totals").at("in_flight") == 1;
  });
  INFO(status.dump());
  CHECK(quiet);
  const auto& totals = status.at("totals");
  std::uint64_t responses = 0;
  for (const char* kind : {"2xx", "3xx", "4xx", "5xx"})
    responses += totals.at("responses").at(kind).get<std::uint64_t>();
  CHECK(responses == totals.at("requests").get<std::uint64_t>());
  CHECK(totals.at("restarts") == restarts);
  std::uint64_t requests = 0;
  int worker_restarts = 0;
  for (const auto& worker : status.at("workers")) {
    CHECK(worker.at("state") == "ready");
    requests += worker.at("requests").get<std::uint64_t>();
    worker_restarts += worker.at("restarts").get<int>();
  }
  CHECK(requests == totals.at("requests").get<std::uint64_t>());
  CHECK(worker_restarts == restarts);
}

struct Chaos {
  std::function<void(const ServerProcess&)> happens;
  int workers = 2;
  int restarts = 1;  // that it costs
  std::vector<std::string> arguments{};
};

void survive(const Chaos& chaos) {
  const ServerProcess server({.workers = chaos.workers, .arguments = chaos.arguments, .environment = kPlainSignals});
  for (int i = 0; i < 20 * chaos.workers; ++i) (void)get(server.address(), "/hello");
  const Surroundings before(server);
  LoadGenerator load(server.address(), {.threads = 2, .keep_alive = false, .pause = 1ms});
  REQUIRE(load.wait_for(20));
  chaos.happens(server);
  REQUIRE(eventually(20s, [&] {
    return server.status().at("totals").at("restarts") == chaos.restarts && server.wait_ready(chaos.workers, 0ms);
  }));
  REQUIRE(load.wait_for(20));
  const LoadReport report = load.stop();
  INFO(report.text());
  CHECK(report.count("refused") == 0);
  CHECK(report.count("timeout") == 0);
  before.check_unchanged();
  check_counters(server, chaos.restarts);
}

std::function<void(const ServerProcess&)> signalled(int number) {
  return [number](const ServerProcess& server) { REQUIRE(::kill(server.worker_pids().at(0), number) == 0); };
}

std::function<void(const ServerProcess&)> crashed(const std::string& how) {
  return [how](const ServerProcess& server) {
    HttpConnection connection(server.address(), 15s);
    CHECK_THROWS_AS(connection.request("POST", "/crash?how=" + how), ClientError);
  };
}

void kill_all(const ServerProcess& server) {
  for (const pid_t pid : server.worker_pids()) REQUIRE(::kill(pid, SIGKILL) == 0);
}

}  // namespace

TEST_CASE("SIGKILL of a worker leaves nothing behind", "[chaos]") { survive({signalled(SIGKILL)}); }

TEST_CASE("SIGSTOP of a worker leaves nothing behind", "[chaos]") {
  survive({.happens = signalled(SIGSTOP), .arguments = {"--worker-timeout", "1s"}});
}

TEST_CASE("a segmentation fault in a handler leaves nothing behind", "[chaos]") { survive({crashed("segv")}); }

TEST_CASE("abort() in a handler leaves nothing behind", "[chaos]") { survive({crashed("abort")}); }

TEST_CASE("exit() in a handler leaves nothing behind", "[chaos]") { survive({crashed("exit")}); }

TEST_CASE("an infinite loop in a handler leaves nothing behind", "[chaos]") {
  survive({.happens = crashed("hang"), .arguments = {"--worker-timeout", "1s"}});
}

TEST_CASE("all workers killed at once leave nothing behind", "[chaos]") {
  survive({.happens = kill_all, .workers = 3, .restarts = 3});
}

TEST_CASE("a hundred restarts leave nothing behind", "[chaos]") {
  constexpr int kWorkers = 25;
  constexpr int kRounds = 4;  // more in a row would wait for the backoff
  const auto many = [](const ServerProcess& server) {
    for (int round = 0; round < kRounds; ++round) {
      kill_all(server);
      REQUIRE(eventually(20s, [&] {
        return server.status().at("totals").at("restarts") == kWorkers * (round + 1) &&
               server.wait_ready(kWorkers, 0ms);
      }));
    }
  };
  survive({.happens = many, .workers = kWorkers, .restarts = kWorkers * kRounds});
}

TEST_CASE("a worker killed during a reload leaves nothing behind", "[chaos][reload]") {
  const ServerProcess server({.workers = 3});
  for (int i = 0; i < 60; ++i) (void)get(server.address(), "/hello");
  // Afterwards the generation before is kept, and libuv has the descriptor that it keeps in reserve.
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  const Surroundings before(server);
  LoadGenerator load(server.address(), {.threads = 2, .keep_alive = false, .pause = 1ms});
  REQUIRE(load.wait_for(20));
  server.signal(SIGHUP);
  kill_all(server);
  const auto generation_of_all = [&server]() -> std::int64_t {
    std::set<std::int64_t> generations;
    const auto status = server.status();
    for (const auto& worker : status.at("workers")) generations.insert(worker.at("generation").get<std::int64_t>());
    return generations.size() == 1 ? *generations.begin() : 0;
  };
  REQUIRE(eventually(20s, [&] { return server.wait_ready(3, 0ms) && generation_of_all() != 0; }));
  const LoadReport report = load.stop();
  INFO(report.text());
  CHECK(report.count("refused") == 0);
  before.check_unchanged();
  CHECK(server.control_command({"reload", "--wait"}).status == 0);
  before.check_unchanged();
}

TEST_CASE("a handler that eats all memory costs its worker, and the exit says why", "[chaos]") {
  const MemoryGroup group(400U << 20);
  if (!group.ok()) {
    WARN("skipped: control groups cannot be made here");
    return;
  }
  const ServerProcess server(
      {.command = {"/bin/sh", "-c", "echo $$ > " + group.processes_file() + "; exec \"$0\" \"$@\"", program_path(),
                   "serve", app_path("apps/grows")},
       .workers = 2,
       .environment = kPlainSignals});
  const auto before = server.worker_pids();
  HttpConnection connection(server.address(), 30s);
  CHECK_THROWS_AS(connection.request("POST", "/grow?mib=1000"), ClientError);
  REQUIRE(eventually(20s, [&] { return server.wait_ready(2, 0ms) && server.worker_pids() != before; }));
  const auto status = server.status();
  INFO(status.dump());
  CHECK(status.at("totals").at("restarts") == 1);
  const auto lines = server.log_lines("killed by the kernel: the cgroup's memory limit (400 MiB) was reached");
  CHECK_FALSE(lines.empty());
  CHECK(get(server.address(), "/").status == 200);
}

TEST_CASE("logs that cannot be written cost their lines, and nothing else", "[chaos]") {
  // The log begins as the file that we read, and is opened again as a device that is always full.
  const ServerProcess server({.command = {"/bin/sh", "-c", "ln -s log server.log; exec \"$0\" \"$@\"", program_path(),
                                          "serve", app_path("demo")},
                              .workers = 2,
                              .arguments = {"--log-file", "server.log", "--access-log", "/dev/full"}});
  std::filesystem::remove(server.file("server.log"));
  std::filesystem::create_symlink("/dev/full", server.file("server.log"));
  server.signal(SIGUSR1);
  const auto to_full = [](pid_t pid) {
    for (const auto& fd : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
      std::error_code gone;
      if (std::filesystem::read_symlink(fd, gone) == "/dev/full") return true;
    }
    return false;
  };
  REQUIRE(eventually(5s, [&] { return to_full(server.pid()); }));
  REQUIRE(::kill(server.worker_pids().at(0), SIGKILL) == 0);
  for (int i = 0; i < 200; ++i) REQUIRE(get(server.address(), "/hello").status == 200);
  CHECK(eventually(10s, [&] { return server.status().at("totals").at("restarts") == 1 && server.wait_ready(2, 0ms); }));
  CHECK_FALSE(server.log_has("signal 9"));  // it has not been written, so the log was full
}
