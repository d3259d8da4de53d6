#include "supervisor/crash/report_json.h"

#include <signal.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::supervisor;

namespace {

struct Row {
  Scoreboard board = Scoreboard::create();
  WorkerRow& row = board.worker(0, 0);
  WorkerEntry worker{.pid = 4242, .slot = 0, .generation = 3, .started_ms = 1'000};

  Row() {
    row.pid.store(4242);
    row[Count::requests].store(110);
    row.requests_before.store(100);
  }
  [[nodiscard]] nlohmann::json report(ChildExit exit) const {
    return crash_report({.worker = worker,
                         .row = row,
                         .exit = exit,
                         .reason = describe(exit),
                         .app = "/srv/app.so",
                         .rss_bytes = 5,
                         .now_ms = 3'500,
                         .at = 1'795'342'626,
                         .oom_before = 2,
                         .memory = {},
                         .verdict = {}});
  }
  void run(const char* line, std::uint32_t number) const {
    copy_text(row.running.line, line);
    row.running.id = {7, number};
    row.running.started_ns.store(3'000'000'000);
    row.running.active.store(1);
  }
};

}  // namespace

TEST_CASE("a crash report names signal, address, request and what else was lost", "[supervisor][crash]") {
  const Row fixture;
  fixture.run("POST /crash", 12);
  CrashRecord& crash = fixture.row.crash;
  crash.signal.store(SIGSEGV);
  crash.code = SEGV_MAPERR;
  crash.address = 0x10;
  crash.thread = 4242;
  crash.requests[0] = {3'000'000'000, {7, 12}, 0, "POST /crash"};
  crash.requests[1] = {2'500'000'000, {7, 11}, 1, "GET /slow"};
  crash.requests_count.store(2);
  fixture.row.log.append("a line\n");
  const auto report = fixture.report({4242, 0, SIGSEGV});
  INFO(report.dump(2));
  CHECK(report["signal"]["name"] == "SIGSEGV");
  CHECK(report["signal"]["meaning"] == "address not mapped");
  CHECK(report["signal"]["address"] == "0x10");
  CHECK(report["exit_status"].is_null());
  CHECK(report["request"]["line"] == "POST /crash");
  CHECK(report["request"]["for_ms"] == 500);
  REQUIRE(report["other_requests"].size() == 1);
  CHECK(report["other_requests"][0]["line"] == "GET /slow");
  CHECK(report["other_requests"][0]["response_begun"] == true);
  CHECK(report["thread"] == "loop");
  CHECK(report["uptime_s"] == 2.5);
  CHECK(report["requests"] == 10);
  CHECK(report["log"][0] == "a line");
}

TEST_CASE("the report of a killed worker has its request and no cause of its own", "[supervisor][crash]") {
  const Row fixture;
  fixture.run("GET /block", 1);
  const auto report = fixture.report({4242, 0, SIGKILL});
  CHECK(report["signal"]["name"] == "SIGKILL");
  CHECK_FALSE(report["signal"].contains("code"));
  CHECK(report["request"]["line"] == "GET /block");
  CHECK(report["thread"].is_null());
}

TEST_CASE("a row that another process has taken over is not reported", "[supervisor][crash]") {
  const Row fixture;
  fixture.run("GET /block", 1);
  fixture.row.crash.signal.store(SIGSEGV);
  fixture.row.pid.store(4243);
  const auto report = fixture.report({4242, 0, SIGSEGV});
  CHECK(report["request"].is_null());
  CHECK(report["requests"] == 0);
  CHECK(report["log"].empty());
}

TEST_CASE("an exit status is no signal", "[supervisor][crash]") {
  const Row fixture;
  const auto report = fixture.report({4242, 7, 0});
  CHECK(report["exit_status"] == 7);
  CHECK(report["signal"].is_null());
}

TEST_CASE("counts that a dying worker left wrong are not believed", "[supervisor][crash]") {
  const Row fixture;
  fixture.row.crash.signal.store(SIGSEGV);
  fixture.row.crash.requests_count.store(UINT32_MAX);
  CHECK(fixture.report({4242, 0, SIGSEGV})["other_requests"].size() == kMaxReportedRequests);
}

TEST_CASE("what a guardian found is reported without the running request, and only for its worker",
          "[supervisor][crash]") {
  const auto found = std::make_unique<GuardianRow>();
  found->requests[0] = {3'000'000'000, {}, 0, "POST /block"};
  found->requests[1] = {2'500'000'000, {}, 1, "GET /slow"};
  found->requests_count.store(2);
  found->requests_of.store(4242);
  const auto requests = requests_found(*found, 4242, 3'000'000'000, 3'500);
  INFO(requests.dump(2));
  REQUIRE(requests.size() == 1);
  CHECK(requests[0]["line"] == "GET /slow");
  CHECK(requests[0]["for_ms"] == 1'000);
  CHECK(requests[0]["id"] == "");
  CHECK(requests[0]["response_begun"] == true);
  CHECK(requests_found(*found, 4242, 0, 3'500).size() == 2);
  CHECK(requests_found(*found, 4243, 0, 3'500).empty());
  found->requests_count.store(UINT32_MAX);
  CHECK(requests_found(*found, 4242, 0, 3'500).size() == kMaxReportedRequests);
}

TEST_CASE("names of reports sort by time", "[supervisor][crash]") {
  CHECK(report_name(1'795'342'626, 3, 77) == "crash-20261122T101706Z-3-77.json");
  CHECK(report_name(0, kAdminSlot, 1) == "crash-19700101T000000Z-admin-1.json");
}

TEST_CASE("the code of a signal is described in words", "[supervisor][crash]") {
  CHECK(describe_signal_code(SIGSEGV, SEGV_MAPERR) == "address not mapped");
  CHECK(describe_signal_code(SIGFPE, FPE_INTDIV) == "integer division by zero");
  CHECK(describe_signal_code(SIGABRT, SI_TKILL) == "raised by a thread, such as by abort()");
  CHECK(describe_signal_code(SIGABRT, SI_USER) == "sent by a process");
  CHECK(describe_signal_code(SIGSEGV, 99) == "code 99");
}
