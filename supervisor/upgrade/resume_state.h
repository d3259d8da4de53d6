// Replacing the supervisor's own program in place (SIGUSR2): what the old image leaves to the new one.
//
// The process stays the same, so its children stay its children. Descriptors live through the exec; their numbers, and
// what they are, travel as JSON in a memfd whose number is in the variable PRONGHORN_RESUME_FD.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "supervisor/listen/listeners.h"
#include "supervisor/workers/slots.h"

namespace pronghorn::supervisor {

struct ResumedWorker {
  WorkerEntry worker;
  int channel_fd = -1;
  std::uint32_t known_slots = 0;
};

struct ResumeState {
  int pid = 0;  // of the process that wrote it: a child that inherits the variable by mistake is not meant
  std::uint64_t started_ms = 0;
  std::uint32_t generation = 1;
  std::uint32_t last_generation = 1;
  std::uint32_t target = 1;
  bool set_by_hand = false;  // the target
  Config config;             // what the workers run with
  // What a rollback goes to; generation 0: nothing.
  std::uint32_t previous_generation = 0;
  Config previous_config;
  int scoreboard_fd = -1;
  int control_fd = -1;
  int runtime_lock_fd = -1;  // -1: not locked
  int data_lock_fd = -1;
  int redis_lock_fd = -1;
  int redis_pid = 0;  // 0: none
  Listeners::Adopted listeners;
  std::optional<Listeners::Adopted> admin_listeners;
  std::vector<ResumedWorker> workers;

  // Every descriptor above.
  [[nodiscard]] std::vector<int> descriptors() const;
};

// Executes `program` in this process with the arguments that we were started with. Returns only when that fails, with
// the reason; everything is then as before. Signals stay blocked in the new image until take_resume_state's caller
// unblocks them.
[[nodiscard]] std::string exec_with_state(const std::string& program, const ResumeState& state);

// In a new image: the state that was left to it, with every descriptor close-on-exec again. Empty when this is an
// ordinary start. Throws std::runtime_error when there is one that cannot be understood.
[[nodiscard]] std::optional<ResumeState> take_resume_state();

// Blocks the signals that the supervisor handles, or lets them come again: between two images nobody would handle them.
void block_signals(bool block) noexcept;

}  // namespace pronghorn::supervisor
