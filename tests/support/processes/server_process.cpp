#include "support/processes/server_process.h"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "support/catch.h"
#include "support/failure_log.h"
#include "support/paths.h"

namespace pronghorn::test {

namespace {

constexpr int kStatusAttempts = 3;

std::vector<std::string> serve_command(const ServerOptions& options) {
  std::vector<std::string> command = options.command;
  if (command.empty()) command = {program_path(), "serve", options.app};
  const auto add = [&command](const std::string& option, const std::string& value) {
    command.push_back(option);
    command.push_back(value);
  };
  for (const std::string& address : options.listen) add("--listen", address);
  if (options.workers > 0) add("--workers", std::to_string(options.workers));
  if (!options.redis.empty()) add("--redis", options.redis);
  command.insert(command.end(), options.arguments.begin(), options.arguments.end());
  return command;
}

// Environment of every server in a test; `additions` replace its values.
Environment base_environment(const TempDir& directory, const Environment& additions) {
  Environment environment{{"PRONGHORN_RUNTIME_DIR", directory / "run"},
                          {"PRONGHORN_DATA_DIR", directory / "data"},
                          {"PRONGHORN_DRAIN_DELAY", "0s"},
                          {"PRONGHORN_DRAIN_TIMEOUT", "10s"},
                          {"PRONGHORN_LOG_LEVEL", "debug"}};
  for (const auto& [name, value] : additions) {
    std::erase_if(environment, [&name](const auto& entry) { return entry.first == name; });
    environment.emplace_back(name, value);
  }
  return environment;
}

std::string pid_list(const std::vector<pid_t>& pids) {
  std::string text;
  for (const pid_t pid : pids) text += "\n  " + std::to_string(pid) + " " + command_line(pid);
  return text;
}

}  // namespace

std::string program_path() { return build_path("/pronghorn"); }

std::string app_path(const std::string& name) {
  const bool of_tests = name.starts_with("apps/");
  return build_path((of_tests ? "/tests/" : "/examples/") + name + ".so");
}

ServerProcess::ServerProcess(ServerOptions options) {
  std::filesystem::create_directories(directory_ / "data");
  // What is no load for a worker is too much for an instrumented one.
  if (is_sanitized()) options.environment.emplace_back("PRONGHORN_OVERLOAD", "off");
  pid_ = start_program({.command = serve_command(options),
                        .environment = base_environment(directory_, options.environment),
                        .directory = directory_.path(),
                        .output_file = directory_ / "log",
                        .error_file = {},
                        .passed_fds = options.passed_fds});
  try {
    if (options.wait) wait_started(options.start_deadline);
  } catch (...) {
    kill_what_is_left();
    throw;
  }
}

ServerProcess::~ServerProcess() {
  if (!exit_) {
    const auto ended = stop(20s);
    if (!ended) FAIL_CHECK("the server did not stop within 20 s of TERM");
    if (ended && ended->code != 0) FAIL_CHECK("after TERM the server ended with " + ended->text());
  }
  if (!eventually(5s, [this] { return processes().empty(); }, 10ms)) {
    FAIL_CHECK("the server left processes behind:" + pid_list(processes()));
  }
  kill_what_is_left();
  show_if_test_fails("log of the server with pid " + std::to_string(pid_), log());
}

void ServerProcess::wait_started(std::chrono::milliseconds deadline) {
  const bool listening = eventually(deadline, [this] {
    exit_ = test::wait_exit(pid_, 0ms);
    return exit_ || read_addresses();
  });
  if (exit_) throw std::runtime_error("the server ended with " + exit_->text() + " at start:\n" + log());
  if (!listening) throw std::runtime_error("the server is not ready in time:\n" + log());
}

// Logged once every worker has been ready: "listening on http://127.0.0.1:8080 and unix:/run/s with 2 workers, …".
bool ServerProcess::read_addresses() {
  constexpr std::string_view kBegin = "listening on ";
  constexpr std::string_view kBetween = " and ";
  const std::string text = log();
  auto at = text.find(kBegin);
  const auto end = text.find(" with ", at);
  if (at == std::string::npos || end == std::string::npos) return false;
  for (at += kBegin.size(); at < end; at += kBetween.size()) {
    const auto next = std::min(text.find(kBetween, at), end);
    addresses_.push_back(Address::parse(text.substr(at, next - at)));
    at = next;
  }
  return true;
}

std::vector<std::string> ServerProcess::log_lines(std::string_view text) const {
  std::vector<std::string> lines;
  std::istringstream all(log());
  for (std::string line; std::getline(all, line);) {
    if (line.find(text) != std::string::npos) lines.push_back(line);
  }
  return lines;
}

nlohmann::json ServerProcess::status() const {
  for (int attempt = 1;; ++attempt) {
    try {
      return get(address(), "/status").json();
    } catch (const ClientError& error) {  // the worker that took the request may have been killed
      if (attempt == kStatusAttempts || error.failure() == Failure::refused) throw;
    }
  }
}

nlohmann::json ServerProcess::worker(int slot) const {
  const auto now = status();  // named: GCC 12 does not keep a temporary alive through a range-for
  for (const auto& entry : now.at("workers")) {
    if (entry.at("slot") == slot) return entry;
  }
  return nullptr;
}

std::vector<pid_t> ServerProcess::worker_pids() const {
  std::vector<pid_t> pids;
  const auto now = status();
  for (const auto& entry : now.at("workers")) {
    if (const auto pid = entry.at("pid").get<pid_t>(); pid > 0) pids.push_back(pid);
  }
  return pids;
}

bool ServerProcess::wait_ready(int count, std::chrono::milliseconds deadline) const {
  return eventually(deadline, [this, count] {
    try {
      const auto workers = status().at("workers");
      const auto ready = std::count_if(workers.begin(), workers.end(),
                                       [](const nlohmann::json& worker) { return worker.at("state") == "ready"; });
      return ready == count && workers.size() == static_cast<std::size_t>(count);
    } catch (const ClientError&) {
      return false;
    }
  });
}

bool ServerProcess::wait_ready_status(int status, std::chrono::milliseconds deadline) const {
  return eventually(deadline, [this, status] {
    try {
      return get(address(), "/ready").status == status;
    } catch (const ClientError&) {
      return false;
    }
  });
}

bool ServerProcess::wait_redis(std::chrono::milliseconds deadline) const {
  return eventually(deadline, [this] {
    const auto now = status();
    return std::ranges::all_of(now.at("workers"),
                               [](const nlohmann::json& worker) { return worker.at("redis").at("state") == "up"; });
  });
}

void ServerProcess::signal(int number) const {
  if (!exit_) ::kill(pid_, number);
}

std::optional<ExitStatus> ServerProcess::wait_exit(std::chrono::milliseconds deadline) {
  if (!exit_) exit_ = test::wait_exit(pid_, deadline);
  return exit_;
}

std::optional<ExitStatus> ServerProcess::stop(std::chrono::milliseconds deadline) {
  signal(SIGTERM);
  return wait_exit(deadline);
}

ProgramResult ServerProcess::control_command(std::vector<std::string> command,
                                             std::chrono::milliseconds deadline) const {
  command.insert(command.begin(), program_path());
  command.push_back("--control");
  command.push_back(control());
  return run_program(command, {}, deadline);
}

void ServerProcess::kill_what_is_left() {
  for (const pid_t pid : processes()) ::kill(pid, SIGKILL);
  (void)wait_exit(5s);
}

}  // namespace pronghorn::test
