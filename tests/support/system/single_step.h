// A process that is run one instruction at a time, and killed between two of them.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>

#include "support/processes/process.h"

namespace pronghorn::test {

// Traces the main thread of a process (ptrace). It stands still from the constructor on.
//
// Context: one thread; nobody else traces the process. Throws std::runtime_error if it cannot be traced.
class SingleStep {
 public:
  explicit SingleStep(pid_t pid);
  SingleStep(const SingleStep&) = delete;
  SingleStep& operator=(const SingleStep&) = delete;
  // Lets it run, unless it was killed.
  ~SingleStep();

  // Whether this machine lets a process trace others. If not, warns that nothing is tested.
  [[nodiscard]] static bool is_allowed();

  // What the program to be traced needs in its environment: see plain_clock.cpp.
  [[nodiscard]] static Environment environment();

  // Runs up to `count` instructions; a system call is one. Returns how many were run before the process began to wait
  // for something (for 5 ms), or ended.
  std::uint64_t run(std::uint64_t count);
  // Both run it at full speed.
  void run_until_idle();  // it waits for something (for 5 ms)
  // Until it is about to read or write. Throws std::runtime_error at the deadline.
  void run_until_io(std::chrono::milliseconds deadline = std::chrono::seconds(10));
  // Kills it where it stands.
  void kill();

 private:
  [[nodiscard]] bool go_on(int how);
  [[nodiscard]] bool wait_for_stop();

  pid_t pid_;
  bool stopped_ = true;
  bool ended_ = false;
  int signal_ = 0;  // to be delivered with the next instruction
};

}  // namespace pronghorn::test
