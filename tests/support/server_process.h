// The real program, started for one test.
#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "support/http_client.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace pronghorn::test {

// Built by this build: "demo" is examples/demo.so, "apps/x" is tests/apps/x.so.
[[nodiscard]] std::string app_path(const std::string& name);
[[nodiscard]] std::string program_path();  // build/pronghorn

// For tests that look at memory: AddressSanitizer keeps 256 MB of what was freed by default.
inline const Environment kSmallQuarantine{{"ASAN_OPTIONS", "quarantine_size_mb=1"}};

struct ServerOptions {
  std::string app = app_path("demo");
  // Of the server itself; empty: `pronghorn serve APP`.
  std::vector<std::string> command{};
  int workers = 2;                                 // 0: --workers is not given
  std::string redis = "none";                      // empty: --redis is not given
  std::vector<std::string> listen{"127.0.0.1:0"};  // empty: --listen is not given
  std::vector<std::string> arguments{};            // added at the end
  Environment environment{};
  bool wait = true;  // return when every worker has been ready; false: at once, see wait_started
  std::chrono::milliseconds start_deadline = 20s;
};

// `pronghorn serve` in a new folder of its own, which is also its working directory and holds run/ (runtime_dir), data/
// (data_dir) and the log.
//
// Context: the main thread of a test.
// Errors:  the constructor throws std::runtime_error with the log when the server ends or is not ready in time. The
//          destructor stops what still runs; it fails the test when the server does not stop, does not exit with
//          status 0, or leaves a process behind. The log is printed when the test fails.
class ServerProcess {
 public:
  explicit ServerProcess(ServerOptions options = {});
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess();

  // For a server that was not waited for: returns when it is ready and its addresses are known. Throws as the
  // constructor.
  void wait_started(std::chrono::milliseconds deadline = 20s);

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  // The address numbered as in `listen`, as the log says it.
  [[nodiscard]] const Address& address(std::size_t index = 0) const { return addresses_.at(index); }
  [[nodiscard]] std::string file(std::string_view name) const { return directory_ / name; }
  [[nodiscard]] std::string control() const { return directory_ / "run/control.sock"; }
  [[nodiscard]] std::string log() const { return read_file(directory_ / "log"); }
  [[nodiscard]] bool log_has(std::string_view text) const { return log().find(text) != std::string::npos; }
  // The log's lines that contain `text`.
  [[nodiscard]] std::vector<std::string> log_lines(std::string_view text) const;

  // GET /status, over the first address; asks again when the connection is closed or reset.
  [[nodiscard]] nlohmann::json status() const;
  [[nodiscard]] nlohmann::json worker(int slot) const;  // its entry in /status; null when there is none
  [[nodiscard]] std::vector<pid_t> worker_pids() const;
  // Waits until `count` workers are ready and none is in any other state. False: not within `deadline`.
  [[nodiscard]] bool wait_ready(int count, std::chrono::milliseconds deadline = 10s) const;

  // Waits until /ready answers `status`. False: not within `deadline`.
  [[nodiscard]] bool wait_ready_status(int status, std::chrono::milliseconds deadline = 10s) const;

  // Waits until every worker has its connection to Redis. False: not within `deadline`.
  [[nodiscard]] bool wait_redis(std::chrono::milliseconds deadline = 15s) const;

  void signal(int number) const;
  // Reaps the supervisor. nullopt: it still runs.
  std::optional<ExitStatus> wait_exit(std::chrono::milliseconds deadline);
  // TERM, then wait_exit.
  std::optional<ExitStatus> stop(std::chrono::milliseconds deadline = 10s);
  // Every process that belongs to this server, the supervisor included.
  [[nodiscard]] std::vector<pid_t> processes() const { return processes_of(directory_.path()); }

  // `pronghorn COMMAND… --control PATH`.
  [[nodiscard]] ProgramResult control_command(std::vector<std::string> command,
                                              std::chrono::milliseconds deadline = 20s) const;

 private:
  bool read_addresses();
  void kill_what_is_left();

  TempDir directory_;
  pid_t pid_ = -1;
  std::optional<ExitStatus> exit_;
  std::vector<Address> addresses_;
};

}  // namespace pronghorn::test
