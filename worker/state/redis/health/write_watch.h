// Whether Redis accepts writes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pronghorn::worker {

// Judges the results of trial writes, and logs one line when Redis begins to refuse them and one when it accepts them
// again. A refusal counts at once; its end only after three accepted trials in a row, so that a server at the edge (at
// its memory limit, for example) does not switch /ready back and forth. No I/O.
//
// Context: loop thread.
class WriteWatch {
 public:
  // Of which server the next trials are: for the log.
  void moved_to(std::string_view address) { address_ = address; }

  // The result of a trial: the error reply, or empty if it was accepted.
  void tried(std::string_view error);

  [[nodiscard]] bool refused() const noexcept { return !reason_.empty(); }
  // The error of the last refused trial; empty if writes are accepted.
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

 private:
  static constexpr int kTrialsToTrust = 3;

  std::string address_;
  std::string reason_;
  std::uint64_t since_ms_ = 0;
  int accepted_ = 0;  // trials in a row
};

}  // namespace pronghorn::worker
