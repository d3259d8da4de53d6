// Starts processes, waits for them, and finds those that are left behind.
//
// Context: the main thread of a test. The kernel kills a child if the test program ends first.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/eventually.h"

namespace pronghorn::test {

using Environment = std::vector<std::pair<std::string, std::string>>;

struct ProgramOptions {
  std::vector<std::string> command;  // [0] is looked up in PATH if it has no slash
  // Added to the test's environment, from which PORT, WEB_CONCURRENCY, REDIS_URL, PRONGHORN_* and what systemd sets are
  // removed.
  Environment environment;
  std::string directory;          // working directory; empty: that of the test
  std::string output_file;        // standard output is appended to it
  std::string error_file;         // the same for standard error; empty: output_file
  std::vector<int> passed_fds{};  // the program has them as descriptors 3, 4, …
};

// Starts a program with /dev/null as standard input. Throws std::system_error.
[[nodiscard]] pid_t start_program(const ProgramOptions& options);

// How a process ended.
struct ExitStatus {
  int code = -1;  // -1: ended by a signal
  int signal = 0;
  [[nodiscard]] std::string text() const;
  friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};

// Reaps a child of the test. nullopt if it still runs after `deadline`.
[[nodiscard]] std::optional<ExitStatus> wait_exit(pid_t pid, std::chrono::milliseconds deadline);

struct ProgramResult {
  int status = -1;  // exit status; -1: ended by a signal, or killed at the deadline
  bool timed_out = false;
  std::string out;
  std::string err;
  [[nodiscard]] std::string all() const { return out + err; }
};

// Runs a program until it ends; kills it after `deadline`.
[[nodiscard]] ProgramResult run_program(const std::vector<std::string>& command, const Environment& environment = {},
                                        std::chrono::milliseconds deadline = 20s, const std::string& directory = {});

// Facts from /proc. A process that has ended, even if not yet reaped, has no children and no descriptors.
[[nodiscard]] bool is_running(pid_t pid);
[[nodiscard]] std::vector<pid_t> children_of(pid_t pid);
// Those without guardians, which come with workers, and without the process that looks up function names.
[[nodiscard]] std::vector<pid_t> children_without_guardians(pid_t pid);
[[nodiscard]] std::string command_line(pid_t pid);
[[nodiscard]] std::size_t open_descriptors(pid_t pid);
[[nodiscard]] std::uint64_t peak_memory(pid_t pid);      // maximum of resident bytes so far
[[nodiscard]] std::uint64_t resident_memory(pid_t pid);  // resident bytes
[[nodiscard]] char process_state(pid_t pid);             // 'R', 'S', 'T', …; 0 if there is no such process
// Every running process whose working directory, command line or environment names `directory`. Finds all processes of
// a server that was started in that folder, even orphans.
[[nodiscard]] std::vector<pid_t> processes_of(const std::string& directory);

}  // namespace pronghorn::test
