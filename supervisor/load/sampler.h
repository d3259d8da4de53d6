// Measures the workers once a second, for the scoreboard and the autoscaler: memory, CPU, requests, utilisation.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "supervisor/slots/slots.h"

namespace pronghorn::supervisor {

class Sampler {
 public:
  explicit Sampler(Scoreboard& board) : board_(board) {}

  // Reads /proc and the worker rows, and writes the slot rows: memory now; CPU, requests per second, mean
  // latency and utilisation of the loop since the last call.
  void sample(const Slots& slots, std::uint64_t now);

  // The share of time (0 to 1) that the loop of each ready worker was busy. Workers without two samples are left out.
  [[nodiscard]] const std::vector<double>& utilisations() const noexcept { return utilisations_; }

 private:
  struct Last {
    std::uint64_t at = 0;
    std::uint64_t cpu_ticks = 0;
    std::uint64_t requests = 0;
    std::uint64_t idle_us = 0;
    LatencyHistogram::Sum latency;
  };

  void sample_slot(std::uint32_t slot, const WorkerEntry* worker, std::uint64_t now);

  Scoreboard& board_;
  std::unordered_map<int, Last> last_;                                                        // by pid
  std::unordered_map<std::uint32_t, std::pair<std::uint64_t, std::uint64_t>> last_requests_;  // by slot: time, number
  std::vector<double> utilisations_;
};

// The resident memory of a process in bytes; 0: there is no such process.
[[nodiscard]] std::uint64_t resident_bytes(int pid);

// The memory of a process in bytes, in which a page that n processes share counts 1/n (PSS). Its resident memory if we
// may not read the PSS of another user's process; 0: there is no such process.
[[nodiscard]] std::uint64_t proportional_bytes(int pid);

// The CPU time (user and system) in clock ticks, from the text of /proc/PID/stat. 0: the text is something else.
[[nodiscard]] std::uint64_t cpu_ticks_of(const char* stat) noexcept;

}  // namespace pronghorn::supervisor
