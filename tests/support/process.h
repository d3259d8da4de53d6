// Real processes: starting them, waiting for them, and finding what they have left behind.
//
// Context: the main thread of a test. A child is killed by the kernel when the test program ends first.
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
  std::vector<std::string> command;  // [0] is looked up in PATH when it has no slash
  // Set on top of the test's own environment, from which PORT, WEB_CONCURRENCY, REDIS_URL and PRONGHORN_* are taken
  // out.
  Environment environment;
  std::string directory;    // working directory; empty: the test's own
  std::string output_file;  // gets standard output
  std::string error_file;   // gets standard error; empty: the same file as output
};

// Forks and executes; standard input is /dev/null. Throws std::system_error.
[[nodiscard]] pid_t start_program(const ProgramOptions& options);

// How a process ended.
struct ExitStatus {
  int code = -1;  // -1: by a signal
  int signal = 0;
  [[nodiscard]] std::string text() const;
  friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};

// Reaps a child of the test. nullopt: it still runs after `deadline`.
[[nodiscard]] std::optional<ExitStatus> wait_exit(pid_t pid, std::chrono::milliseconds deadline);

struct ProgramResult {
  int status = -1;  // exit status; -1: ended by a signal, or killed by us at the deadline
  bool timed_out = false;
  std::string out;
  std::string err;
  [[nodiscard]] std::string all() const { return out + err; }
};

// Runs a program to its end, at most for `deadline`, then kills it.
[[nodiscard]] ProgramResult run_program(const std::vector<std::string>& command, const Environment& environment = {},
                                        std::chrono::milliseconds deadline = 20s, const std::string& directory = {});

// What /proc knows. A process that has ended (a zombie too) has no children and no descriptors.
[[nodiscard]] bool is_running(pid_t pid);
[[nodiscard]] std::vector<pid_t> children_of(pid_t pid);
[[nodiscard]] std::string command_line(pid_t pid);
[[nodiscard]] std::size_t open_descriptors(pid_t pid);
[[nodiscard]] std::uint64_t peak_memory(pid_t pid);      // bytes that were resident at most
[[nodiscard]] std::uint64_t resident_memory(pid_t pid);  // bytes that are resident now
[[nodiscard]] char process_state(pid_t pid);             // 'R', 'S', 'T' …; 0 when there is no such process
// Every running process whose working directory, command line or environment names `directory`: however it was
// re-parented, whatever belongs to a server that was started in that folder is found.
[[nodiscard]] std::vector<pid_t> processes_of(const std::string& directory);

}  // namespace pronghorn::test
