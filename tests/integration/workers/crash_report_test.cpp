// What is left of a worker that ended unasked: the report, the log, `pronghorn crashes`.
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "support/catch.h"
#include "support/plain_signals.h"
#include "support/server_process.h"

using namespace pronghorn::test;

namespace {

std::vector<std::string> report_files(const ServerProcess& server) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(server.file("data/crashes"), error)) {
    files.push_back(entry.path());
  }
  return files;
}

// The one report that there is, once it has function names if `named`.
nlohmann::json wait_report(const ServerProcess& server, bool named) {
  nlohmann::json report;
  const bool there = eventually(20s, [&] {
    const auto files = report_files(server);
    if (files.size() != 1 || !files[0].ends_with(".json")) return false;
    report = nlohmann::json::parse(read_file(files[0]), nullptr, false);
    if (!report.is_object()) return false;
    const auto& frames = report.at("backtrace");
    return !named || std::any_of(frames.begin(), frames.end(), [](const auto& frame) {
      return !frame.at("function").template get<std::string>().empty();
    });
  });
  INFO(server.log());
  REQUIRE(there);
  return report;
}

bool has_function(const nlohmann::json& report, const std::string& name) {
  const auto& frames = report.at("backtrace");
  return std::any_of(frames.begin(), frames.end(), [&name](const auto& frame) {
    return frame.at("function").template get<std::string>().find(name) != std::string::npos;
  });
}

// POST /crash?how=… on a server with one worker; returns when that has been replaced.
void crash(const ServerProcess& server, const std::string& how) {
  const auto victim = server.worker_pids().at(0);
  HttpConnection connection(server.address(), 15s);
  CHECK_THROWS_AS(connection.request("POST", "/crash?how=" + how), ClientError);
  REQUIRE(eventually(10s, [&] { return server.worker_pids() != std::vector{victim} && server.wait_ready(1, 0ms); }));
}

ProgramResult crashes_command(const ServerProcess& server, std::vector<std::string> arguments) {
  std::vector<std::string> command{program_path(), "crashes", "--data-dir", server.file("data")};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_program(command);
}

}  // namespace

TEST_CASE("a segmentation fault leaves a report with the function, the request and the signal", "[crash][report]") {
  const ServerProcess server({.workers = 1, .environment = kPlainSignals});
  (void)get(server.address(), "/hello");
  crash(server, "segv");
  const auto report = wait_report(server, true);
  INFO(report.dump(2));
  CHECK(report.at("signal").at("name") == "SIGSEGV");
  CHECK(has_function(report, "demo::(anonymous namespace)::crash"));
  CHECK(report.at("request").at("line") == "POST /crash");
  CHECK(report.at("request").at("id").get<std::string>().size() == 24);
  CHECK(report.at("slot") == 0);
  CHECK(report.at("thread") == "loop");
  CHECK(report.at("requests").get<int>() >= 1);
  CHECK(report.at("memory").at("verdict") == "");
  // The log tells the same: one event for the exit, one with the stack.
  REQUIRE(eventually(5s, [&] { return !server.log_lines("ended in demo::").empty(); }));
  CHECK(server.log_lines(": signal 11 (SIGSEGV)").size() == 1);
  CHECK(server.log_lines("report=").size() == 2);
  CHECK(server.worker(0).at("last_exit").at("report").get<std::string>().starts_with("crash-"));
}

TEST_CASE("abort() leaves a report with the function that called it", "[crash][report]") {
  const ServerProcess server({.workers = 1, .environment = kPlainSignals});
  crash(server, "abort");
  const auto report = wait_report(server, true);
  INFO(report.dump(2));
  CHECK(report.at("signal").at("name") == "SIGABRT");
  CHECK(has_function(report, "demo::(anonymous namespace)::crash"));
}

TEST_CASE("a stack overflow leaves a report", "[crash][report]") {
  const ServerProcess server({.workers = 1, .environment = kPlainSignals});
  crash(server, "overflow");
  const auto report = wait_report(server, true);
  INFO(report.dump(2));
  CHECK(report.at("signal").at("name") == "SIGSEGV");
  CHECK(report.at("signal").at("address").get<std::string>().starts_with("0x"));
  CHECK(has_function(report, "descend"));
}

TEST_CASE("the report of a crash lists the other requests that it has cost", "[crash][report]") {
  const ServerProcess server({.workers = 1, .environment = kPlainSignals});
  HttpConnection waiting(server.address(), 15s);
  waiting.send_raw("GET /slow?ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(eventually(5s, [&] { return server.worker(0).at("in_flight").get<int>() >= 2; }));  // it, and /status itself
  crash(server, "segv");
  const auto report = wait_report(server, false);
  INFO(report.dump(2));
  REQUIRE(report.at("other_requests").size() == 1);
  CHECK(report.at("other_requests")[0].at("line") == "GET /slow");
  CHECK(report.at("other_requests")[0].at("response_begun") == false);
}

TEST_CASE("a worker that hangs is aborted, and the report says where it hung", "[crash][report]") {
  const ServerProcess server({.workers = 1, .arguments = {"--worker-timeout", "500ms"}, .environment = kPlainSignals});
  crash(server, "hang");
  const auto report = wait_report(server, true);
  INFO(report.dump(2));
  CHECK(report.at("signal").at("name") == "SIGABRT");
  CHECK(report.at("reason").get<std::string>().find("has stood still for") != std::string::npos);
  CHECK(has_function(report, "demo::(anonymous namespace)::crash"));
  CHECK(report.at("request").at("line") == "POST /crash");
}

TEST_CASE("a worker that is killed leaves a report with its request and without a backtrace", "[crash][report]") {
  const ServerProcess server({.workers = 1});
  const auto victim = server.worker_pids().at(0);
  HttpConnection connection(server.address(), 15s);
  connection.send_raw("GET /block?ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(eventually(5s, [&] { return server.log_has("has stood still"); }));  // it is in the handler now
  REQUIRE(::kill(victim, SIGKILL) == 0);
  const auto report = wait_report(server, false);
  INFO(report.dump(2));
  CHECK(report.at("signal").at("name") == "SIGKILL");
  CHECK(report.at("backtrace").empty());
  CHECK(report.at("request").at("line") == "GET /block");
  CHECK(report.at("memory").at("verdict") == "");
}

TEST_CASE("a worker that is stopped by a signal is replaced, and that is said", "[crash][report]") {
  const ServerProcess server({.workers = 1, .arguments = {"--worker-timeout", "500ms"}});
  const auto victim = server.worker_pids().at(0);
  REQUIRE(::kill(victim, SIGSTOP) == 0);
  REQUIRE(eventually(10s, [&] { return !is_running(victim); }));
  REQUIRE(server.wait_ready(1));
  const auto report = wait_report(server, false);
  INFO(report.dump(2));
  CHECK(report.at("signal").at("name") == "SIGKILL");
  CHECK(report.at("reason").get<std::string>().find("stopped by a signal") != std::string::npos);
}

TEST_CASE("a worker that leaves because it was told to makes no report", "[crash][report]") {
  const ServerProcess server({.workers = 2});
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  REQUIRE(server.control_command({"scale", "1"}).status == 0);
  REQUIRE(server.wait_ready(1));
  CHECK(report_files(server).empty());
}

TEST_CASE("what the worker has logged last is in the report", "[crash][report]") {
  const ServerProcess server({.workers = 1, .environment = kPlainSignals});
  CHECK(HttpConnection(server.address()).request("POST", "/crash?how=throw").status == 500);
  crash(server, "segv");
  const auto log = wait_report(server, false).at("log");
  INFO(log.dump(2));
  CHECK(std::any_of(log.begin(), log.end(), [](const auto& line) {
    return line.template get<std::string>().find("thrown on purpose") != std::string::npos;
  }));
}

TEST_CASE("pronghorn crashes lists the reports and shows one", "[crash][report][commands]") {
  ServerProcess server({.workers = 1, .environment = kPlainSignals});
  CHECK(crashes_command(server, {}).out.starts_with("no crash reports in "));
  crash(server, "segv");
  (void)wait_report(server, true);
  REQUIRE(server.stop());  // they are there without a server, too
  const auto list = crashes_command(server, {});
  INFO(list.all());
  CHECK(list.status == 0);
  CHECK(list.out.find("SIGSEGV") != std::string::npos);
  CHECK(list.out.find("POST /crash") != std::string::npos);
  CHECK(list.out.find("demo::(anonymous namespace)::crash") != std::string::npos);
  const auto shown = crashes_command(server, {"last"});
  INFO(shown.all());
  CHECK(shown.status == 0);
  CHECK(shown.out.find("backtrace:") != std::string::npos);
  CHECK(shown.out.find("crash.cpp:") != std::string::npos);
  const std::string name = std::filesystem::path(report_files(server).at(0)).stem();
  CHECK(crashes_command(server, {name}).out == shown.out);
  CHECK(nlohmann::json::parse(crashes_command(server, {"--json"}).out).size() == 1);
  const auto none = crashes_command(server, {"crash-of-nobody"});
  CHECK(none.status == 1);
  CHECK(none.err.find("no crash report \"crash-of-nobody\"") != std::string::npos);
}

TEST_CASE("a crash report that cannot be written costs one line and nothing else", "[crash][report]") {
  if (::geteuid() != 0) {
    WARN("skipped: needs root to mount a small tmpfs");
    return;
  }
  const ServerProcess server({.workers = 1, .environment = kPlainSignals});
  const std::string data = server.file("data");
  std::filesystem::create_directories(data);
  if (::mount("tmpfs", data.c_str(), "tmpfs", 0, "size=4k,mode=0700") != 0) {
    WARN("skipped: tmpfs cannot be mounted here");
    return;
  }
  std::ofstream(data + "/filler") << std::string(8192, 'x') << std::flush;
  crash(server, "segv");
  CHECK(eventually(5s, [&] { return server.log_has("ended in demo::"); }));
  CHECK(server.log_lines("the crash report cannot be written").size() == 1);
  CHECK(get(server.address(), "/hello").status == 200);
  CHECK(::umount(data.c_str()) == 0);
}

TEST_CASE("a loop that stands still is counted and logged with its request and stack", "[crash][stall]") {
  const ServerProcess server({.workers = 1});
  CHECK(server.worker(0).at("stalls") == 0);
  CHECK(get(server.address(), "/block?ms=400").status == 200);
  CHECK(eventually(5s, [&] { return server.log_has("has stood still"); }));
  const auto lines = server.log_lines("has stood still for");
  INFO(server.log());
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("GET /block") != std::string::npos);
  CHECK(lines[0].find("demo::(anonymous namespace)::block") != std::string::npos);
  CHECK(eventually(5s, [&] { return server.log_lines("the loop stood still for ").size() == 1; }));
  CHECK(server.worker(0).at("stalls") == 1);
  CHECK(get(server.address(), "/metrics").body.find("pronghorn_loop_stalls_total{slot=\"0\"} 1") != std::string::npos);
  CHECK(get(server.address(), "/block?ms=400").status == 200);  // counted too; its stack would be too much
  CHECK(server.worker(0).at("stalls") == 2);
  CHECK(server.log_lines("has stood still for").size() == 1);
}

TEST_CASE("a worker that waits for events has no stalls", "[crash][stall]") {
  const ServerProcess server({.workers = 1, .arguments = {"--stall-threshold", "20ms"}});
  CHECK(get(server.address(), "/slow?ms=600").status == 200);
  CHECK_FALSE(server.log_has("stood still"));
}
