// What a worker leaves that has ended unexpectedly: its report and the lines in the log.
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "integration/crashes/reported_crash.h"
#include "support/catch.h"
#include "support/processes/deployed_program.h"
#include "support/processes/server_process.h"
#include "support/system/plain_signals.h"

using namespace pronghorn::test;

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
  // Of the worker itself, although it ran for less than a second.
  CHECK(report.at("memory").at("rss_bytes").get<std::uint64_t>() > 1'000'000);
  CHECK(report.at("names") == "found");
  // The log tells the same: one event for the exit, one with the stack.
  REQUIRE(eventually(5s, [&] { return !server.log_lines("ended in demo::").empty(); }));
  CHECK(server.log_lines(": signal 11 (SIGSEGV)").size() == 1);
  CHECK(server.log_lines("report=").size() == 2);
  CHECK(server.worker(0).at("last_exit").at("report").get<std::string>().starts_with("crash-"));
}

// The index of addresses is GCC's. Without it libdw finds names, but neither lines nor inlined functions.
TEST_CASE("the report of an application that clang has compiled names the line", "[crash][report]") {
  const TempDir directory;
  const std::string app = directory / "app.so";
  std::filesystem::create_directory(directory / "public");  // which the demo serves
  REQUIRE(run_program({"/usr/bin/objcopy", "--remove-section=.debug_aranges", app_path("demo"), app}).status == 0);
  const ServerProcess server({.app = app, .workers = 1, .environment = kPlainSignals});
  crash(server, "segv");
  const auto report = wait_report(server, true);
  INFO(report.dump(2));
  const auto& frames = report.at("backtrace");
  CHECK(std::any_of(frames.begin(), frames.end(), [](const auto& frame) {
    return frame.at("file").template get<std::string>().ends_with("crash.cpp") && frame.at("line") > 0;
  }));
}

TEST_CASE("abort() leaves a report with the function that called it", "[crash][report]") {
  const ServerProcess server({.workers = 1, .environment = kPlainSignals});
  crash(server, "abort");
  const auto report = wait_report(server, true);
  INFO(report.dump(2));
  CHECK(report.at("signal").at("name") == "SIGABRT");
  CHECK(has_function(report, "demo::(anonymous namespace)::crash"));
}

// Its frames were "at 0x7f268554d102", and the log named load_plugin() as what had crashed.
TEST_CASE("a crash in an initialiser of the application is reported with its function", "[crash][report]") {
  const TempDir directory;
  const std::string data = directory / "data";
  const ProgramResult start =
      run_program({program_path(), "serve", app_path("apps/aborts_at_load"), "--listen", "127.0.0.1:0", "--redis",
                   "none", "--workers", "1", "--runtime-dir", directory / "run", "--data-dir", data},
                  kPlainSignals);
  INFO(start.all());
  CHECK(start.status == 3);
  const ProgramResult shown = run_program({program_path(), "crashes", "last", "--json", "--data-dir", data});
  REQUIRE(shown.status == 0);
  const auto report = nlohmann::json::parse(shown.out);
  INFO(report.dump(2));
  const auto& frames = report.at("backtrace");
  // A server that ends does not wait long for names; "pending" if they came too late.
  const bool named = report.at("names") == "found";
  CHECK(std::any_of(frames.begin(), frames.end(), [named](const auto& frame) {
    const auto module = frame.at("module").template get<std::string>();
    return module.ends_with("aborts_at_load.so") && frame.at("function") == (named ? "f" : "");
  }));
}

// The program is replaced by a script, so that the process that looks the names up waits for the test.
TEST_CASE("a crash report is there at once with addresses, and later with names of functions", "[crash][report]") {
  const DeployedProgram program;
  Environment environment = kPlainSignals;
  environment.insert(environment.end(), program.environment.begin(), program.environment.end());
  const ServerProcess server(
      {.command = {program.path, "serve", app_path("demo")}, .workers = 1, .environment = environment});
  const std::string go = server.file("go");
  const std::string script = server.file("script");
  write_file(script, "#!/bin/sh\nwhile [ \"$1\" = symbolize ] && [ ! -e " + go + " ]; do sleep 0.02; done\nexec " +
                         program_path() + " \"$@\"\n");
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  program.deploy(script);
  HttpConnection connection(server.address(), 15s);
  connection.send_raw("POST /crash?how=segv HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  auto first = wait_report(server, false);
  INFO(first.dump(2));
  CHECK(first.at("names") == "pending");
  CHECK_FALSE(first.at("backtrace").empty());
  for (const auto& frame : first.at("backtrace")) {
    CHECK(frame.at("function") == "");
    CHECK(frame.at("address").get<std::string>().starts_with("0x"));
  }
  CHECK_FALSE(server.log_has("ended in "));
  const auto names_follow = [&server] {
    const ProgramResult shown = run_program({program_path(), "crashes", "last", "--data-dir", server.file("data")});
    INFO(shown.all());
    CHECK(shown.status == 0);
    return shown.out.find("(function names are being looked up: run the command again") != std::string::npos;
  };
  CHECK(names_follow());

  write_file(go, "");
  auto second = wait_report(server, true);
  CHECK_FALSE(names_follow());
  CHECK(second.at("names") == "found");
  CHECK(has_function(second, "demo::(anonymous namespace)::crash"));
  for (const char* changed : {"names", "backtrace"}) {
    first.erase(changed);
    second.erase(changed);
  }
  CHECK(second == first);
  CHECK(eventually(10s, [&] { return server.log_has("ended in demo::"); }));
  CHECK(server.wait_ready(1));
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

// Once, a worker that cannot run a signal handler left no trace of them.
TEST_CASE("the report of a killed worker lists the requests that waited in it", "[crash][report]") {
  const ServerProcess server({.workers = 1});
  std::vector<HttpConnection> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.emplace_back(server.address(), 15s);
    waiting.back().send_raw("GET /slow?ms=60000&token=secret HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  HttpConnection idle(server.address(), 15s);
  CHECK(idle.get("/hello").status == 200);
  REQUIRE(eventually(5s, [&] { return server.worker(0).at("in_flight").get<int>() >= 4; }));  // and /status itself
  const int victim = server.worker_pids().at(0);
  REQUIRE(::kill(victim, SIGKILL) == 0);
  nlohmann::json report;
  CHECK(eventually(20s, [&] {
    report = wait_report(server, false);
    return report.at("other_requests").size() == 3;
  }));
  INFO(report.dump(2));
  CHECK(report.at("signal").at("name") == "SIGKILL");
  CHECK(report.at("request").is_null());
  for (const auto& request : report.at("other_requests")) CHECK(request.at("line") == "GET /slow");
}

TEST_CASE("a worker that hangs is aborted, and the report says where it hung", "[crash][report]") {
  const ServerProcess server({.workers = 1, .arguments = {"--worker-timeout", "500ms"}, .environment = kPlainSignals});
  crash(server, "hang");
  const auto report = wait_report(server, true);
  INFO(report.dump(2));
  CHECK(report.at("signal").at("name") == "SIGABRT");
  CHECK(report.at("reason").get<std::string>().find("has been blocked for") != std::string::npos);
  CHECK(has_function(report, "demo::(anonymous namespace)::crash"));
  CHECK(report.at("request").at("line") == "POST /crash");
}

TEST_CASE("a worker that is killed leaves a report with its request and without a backtrace", "[crash][report]") {
  const ServerProcess server({.workers = 1});
  const auto victim = server.worker_pids().at(0);
  HttpConnection connection(server.address(), 15s);
  connection.send_raw("GET /block?ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(eventually(20s, [&] { return server.log_has("has been blocked"); }));  // it is in the handler now
  REQUIRE(::kill(victim, SIGKILL) == 0);
  const auto report = wait_report(server, false);
  INFO(report.dump(2));
  CHECK(report.at("signal").at("name") == "SIGKILL");
  CHECK(report.at("backtrace").empty());
  CHECK(report.at("request").at("line") == "GET /block");
  CHECK(report.at("memory").at("verdict") == "");
}

TEST_CASE("a worker that is stopped by a signal is replaced, and the log says so", "[crash][report]") {
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

TEST_CASE("a worker that was told to drain leaves no report", "[crash][report]") {
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
  CHECK(server.log_lines("cannot write the crash report").size() == 1);
  CHECK(get(server.address(), "/hello").status == 200);
  CHECK(::umount(data.c_str()) == 0);
}
