// When commands to a server that does not answer are no longer tried.
#pragma once

#include <cstdint>

#include "common/ipc/scoreboard.h"

namespace pronghorn::worker {

using Circuit = RedisCircuit;

// Opens after several commands in a row have missed their deadline, and closes when a probe is answered in time. The
// wait before a probe doubles as long as probes fail. No I/O, no clock.
class CircuitBreaker {
 public:
  static constexpr int kFailuresToOpen = 5;
  static constexpr std::uint64_t kFirstWaitMs = 200;
  static constexpr std::uint64_t kLongestWaitMs = 5'000;

  [[nodiscard]] Circuit state() const noexcept { return state_; }
  [[nodiscard]] bool closed() const noexcept { return state_ == Circuit::closed; }
  // How long to wait, once open, before the probe.
  [[nodiscard]] std::uint64_t wait_ms() const noexcept { return wait_ms_; }

  // A command was answered in time.
  void answered() noexcept { failures_ = 0; }
  // A command missed its deadline. Returns whether this opened the circuit.
  bool missed() noexcept;

  void probing() noexcept { state_ = Circuit::half_open; }
  void probe_missed() noexcept;  // opens it again
  // The probe was answered in time, or a new connection was made.
  void close() noexcept;

 private:
  Circuit state_ = Circuit::closed;
  int failures_ = 0;  // in a row
  std::uint64_t wait_ms_ = kFirstWaitMs;
};

}  // namespace pronghorn::worker
