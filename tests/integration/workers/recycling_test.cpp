// Workers above a limit of requests, age or memory are replaced, one at a time, and no client notices.
#include <iostream>
#include <set>

#include "support/catch.h"
#include "support/clients/load_generator.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

int recycled(const ServerProcess& server) { return server.status().at("totals").at("recycled"); }

// Recycling must not look like a failure.
void check_quiet(const ServerProcess& server) {
  const auto status = server.status();
  CHECK(status.at("totals").at("restarts") == 0);
  for (const auto& worker : status.at("workers")) CHECK(worker.at("last_exit").is_null());
}

}  // namespace

TEST_CASE("workers are replaced after recycle_requests without a failed request", "[recycling][load]") {
  const ServerProcess server({.workers = 3, .arguments = {"--recycle-requests", "300"}});
  const auto before = server.worker_pids();
  LoadGenerator kept(server.address(), {.threads = 3});
  LoadGenerator fresh(server.address(), {.threads = 3, .keep_alive = false});
  bool herd = false;
  REQUIRE(eventually(60s, [&] {
    const auto status = server.status();
    int replacing = 0;
    for (const auto& worker : status.at("workers")) replacing += worker.at("rows").size() > 1 ? 1 : 0;
    herd = herd || replacing > 1;
    return status.at("totals").at("recycled").get<int>() >= 4;
  }));
  const LoadReport of_kept = kept.stop();
  const LoadReport of_fresh = fresh.stop();
  std::cout << "four workers recycled, kept-alive connections: " << of_kept.text() << "\n"
            << "four workers recycled, new connections: " << of_fresh.text() << "\n";
  INFO(of_kept.text() << "; " << of_fresh.text());
  CHECK(of_kept.failed() == 0);
  CHECK(of_fresh.failed() == 0);
  CHECK_FALSE(herd);
  CHECK(server.log_has("recycle_requests is 300"));
  REQUIRE(server.wait_ready(3));
  CHECK(server.worker_pids() != before);
  check_quiet(server);
}

TEST_CASE("workers are replaced after recycle_age, never two at once", "[recycling]") {
  const ServerProcess server({.workers = 3, .arguments = {"--recycle-age", "1s"}});
  const auto first = server.worker_pids();
  std::set<pid_t> left(first.begin(), first.end());
  bool herd = false;
  CHECK(eventually(30s, [&] {
    const auto status = server.status();
    int replacing = 0;
    for (const auto& worker : status.at("workers")) {
      replacing += worker.at("rows").size() > 1 ? 1 : 0;
      if (worker.at("state") != "ready") herd = true;  // the successor comes first: the slot is always served
    }
    herd = herd || replacing > 1;
    for (const pid_t pid : first) {
      if (!is_running(pid)) left.erase(pid);
    }
    return left.empty();
  }));
  CHECK_FALSE(herd);
  CHECK(server.log_has("recycle_age is 1 s"));
  check_quiet(server);
}

TEST_CASE("a worker that grows above recycle_memory is replaced, and the others are not", "[recycling]") {
  const ServerProcess server({.app = app_path("apps/grows"),
                              .workers = 2,
                              .arguments = {"--recycle-memory", "300MiB"},
                              .environment = kSmallQuarantine});
  const pid_t grown = std::stoi(post(server.address(), "/grow?mib=350").body);
  CHECK(eventually(15s, [&] { return !is_running(grown); }));
  CHECK(eventually(5s, [&] { return recycled(server) == 1; }));
  REQUIRE(server.wait_ready(2));
  CHECK(server.log_has("recycle_memory is 300.0 MiB"));
  CHECK(get(server.address(), "/").status == 200);
  check_quiet(server);
}

TEST_CASE("a reload during a recycling is carried out", "[recycling][reload]") {
  const ServerProcess server({.workers = 2, .arguments = {"--recycle-age", "1s"}});
  REQUIRE(eventually(15s, [&] { return recycled(server) >= 1; }));
  const ProgramResult result = server.control_command({"reload", "--wait"});
  INFO(result.all());
  CHECK(result.status == 0);
  CHECK(server.status().at("server").at("generations") == nlohmann::json({2}));
  const int before = recycled(server);
  CHECK(eventually(15s, [&] { return recycled(server) > before; }));
  CHECK(server.status().at("server").at("generations") == nlohmann::json({2}));
}
