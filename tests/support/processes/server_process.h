// Runs the pronghorn program for one test.
#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "support/clients/http_client.h"
#include "support/processes/process.h"
#include "support/temp_dir.h"

namespace pronghorn::test {

// A plugin in the build tree: "demo" is examples/demo.so, "apps/x" is tests/apps/x.so.
[[nodiscard]] std::string app_path(const std::string& name);
[[nodiscard]] std::string program_path();  // build/pronghorn

// For tests that measure memory: by default AddressSanitizer holds back 256 MB of freed memory.
inline const Environment kSmallQuarantine{{"ASAN_OPTIONS", "quarantine_size_mb=1"}};

struct ServerOptions {
  std::string app = app_path("demo");
  // Starts the server; empty: `pronghorn serve APP`.
  std::vector<std::string> command{};
  int workers = 2;                                 // 0: --workers is not given
  std::string redis = "none";                      // empty: --redis is not given
  std::vector<std::string> listen{"127.0.0.1:0"};  // empty: --listen is not given
  std::vector<std::string> arguments{};            // added at the end
  Environment environment{};
  std::vector<int> passed_fds{};  // the server has them as descriptors 3, 4, …
  bool wait = true;  // the constructor returns when every worker has been ready; false: at once, see wait_started
  std::chrono::milliseconds start_deadline = 20s;
};

// `pronghorn serve` in a new folder, which is its working directory and holds run/ (runtime_dir), data/ (data_dir) and
// the log.
//
// Context: the main thread of a test.
// Errors:  the constructor throws std::runtime_error with the log if the server ends or is not ready in time. The
//          destructor stops the server, and fails the test if it does not stop, exits with another status than 0, or
//          leaves a process behind. The log is printed if the test fails.
class ServerProcess {
 public:
  explicit ServerProcess(ServerOptions options = {});
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess();

  // With `wait` false: waits until the server is ready and its addresses are known. Throws like the constructor.
  void wait_started(std::chrono::milliseconds deadline = 20s);

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  // The address of `listen[index]`, with the port that the log names.
  [[nodiscard]] const Address& address(std::size_t index = 0) const { return addresses_.at(index); }
  [[nodiscard]] std::string file(std::string_view name) const { return directory_ / name; }
  [[nodiscard]] std::string control() const { return directory_ / "run/control.sock"; }
  [[nodiscard]] std::string log() const { return read_file(directory_ / "log"); }
  [[nodiscard]] bool log_has(std::string_view text) const { return log().find(text) != std::string::npos; }
  // Lines of the log that contain `text`.
  [[nodiscard]] std::vector<std::string> log_lines(std::string_view text) const;

  // GET /status on the first address. Retries if the connection is closed or reset.
  [[nodiscard]] nlohmann::json status() const;
  [[nodiscard]] nlohmann::json worker(int slot) const;  // its entry in /status; null if there is none
  [[nodiscard]] std::vector<pid_t> worker_pids() const;
  // Waits until `count` workers are ready and none is in another state. False if `deadline` passes first.
  [[nodiscard]] bool wait_ready(int count, std::chrono::milliseconds deadline = 10s) const;

  // Waits until /ready answers with `status`. False if `deadline` passes first.
  [[nodiscard]] bool wait_ready_status(int status, std::chrono::milliseconds deadline = 10s) const;

  // Waits until every worker is connected to Redis. False if `deadline` passes first.
  [[nodiscard]] bool wait_redis(std::chrono::milliseconds deadline = 15s) const;

  void signal(int number) const;
  // Reaps the supervisor. nullopt if it still runs after `deadline`.
  std::optional<ExitStatus> wait_exit(std::chrono::milliseconds deadline);
  // Sends TERM, then waits like wait_exit.
  std::optional<ExitStatus> stop(std::chrono::milliseconds deadline = 10s);
  // Every process of this server, including the supervisor.
  [[nodiscard]] std::vector<pid_t> processes() const { return processes_of(directory_.path()); }

  // Runs `pronghorn COMMAND… --control PATH`.
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
