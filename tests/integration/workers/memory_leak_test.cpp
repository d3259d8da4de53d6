// A leak under a memory limit. Not under the sanitizers: their own memory exceeds the limit.
#include <cstdlib>
#include <iostream>

#include "support/catch.h"
#include "support/clients/load_generator.h"
#include "support/processes/server_process.h"
#include "support/system/memory_group.h"

using namespace pronghorn::test;

namespace {

// Until two workers have been replaced, or longer: ./scripts/soak leaks for two minutes.
std::chrono::seconds least_time() {
  const char* const seconds = std::getenv("PRONGHORN_LEAK_SECONDS");
  return std::chrono::seconds(seconds == nullptr ? 0 : std::atoi(seconds));
}

}  // namespace

// A leak that nobody limits: each request keeps a megabyte. As in Kubernetes, the kernel would kill the whole group.
TEST_CASE("a leaking handler in a small cgroup costs neither the server nor a request of another worker", "[chaos]") {
  const MemoryGroup group(256U << 20);
  if (!group.ok()) {
    WARN("skipped: control groups cannot be made here");
    return;
  }
  const ServerProcess server({.command = group.serve("apps/grows"), .workers = 2});
  LoadGenerator others(server.address(), {.target = "/", .threads = 2});
  const auto end = Clock::now() + least_time();
  int leaked = 0;
  int recycled = 0;
  int failed = 0;
  CHECK(eventually(least_time() + 60s, [&] {
    try {
      CHECK(post(server.address(), "/grow?mib=1").status == 200);
      ++leaked;
    } catch (const ClientError&) {
      ++failed;
    }
    recycled = server.status().at("totals").at("recycled");
    return recycled >= 2 && Clock::now() >= end;
  }));
  const LoadReport report = others.stop();
  INFO(report.text());
  if (least_time() > 0s) {
    std::cout << "leak: " << leaked << " MiB, " << recycled << " workers recycled; " << report.text() << std::endl;
  }
  CHECK(failed == 0);
  CHECK(report.failed() == 0);
  CHECK(server.status().at("totals").at("restarts") == 0);
  CHECK(server.log_has("of memory, the most of 2 workers, and the cgroup"));
  CHECK(group.oom_kills() == 0);
}
