// The state that the old image of the supervisor's program passes to the new one when it is replaced in place.
//
// The process stays the same, and so do its children and its descriptors. Their numbers and meanings are passed on as
// JSON, in a memfd whose number is in the environment variable PRONGHORN_RESUME_FD.
//
// Context: supervisor, main thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "supervisor/listen/listeners.h"
#include "supervisor/load/history.h"
#include "supervisor/slots/slots.h"

namespace pronghorn::supervisor {

struct ResumedWorker {
  WorkerEntry worker;
  int channel_fd = -1;
  std::uint32_t known_slots = 0;
  int guardian = 0;  // its pid; 0: none
};

struct ResumeState {
  int pid = 0;  // of the supervisor: a child that inherits the variable must not use it
  std::uint64_t started_ms = 0;
  std::uint32_t generation = 1;
  std::uint32_t last_generation = 1;
  std::uint32_t target = 1;
  bool set_by_hand = false;  // `target` was
  Config config;             // that the workers run with
  // Where a rollback goes to. Generation 0: nowhere.
  std::uint32_t previous_generation = 0;
  Config previous_config;
  int scoreboard_fd = -1;
  int control_fd = -1;
  int runtime_lock_fd = -1;  // -1: not locked
  int data_lock_fd = -1;
  int redis_lock_fd = -1;
  int handoff_give_fd = -1;
  int handoff_take_fd = -1;
  int tls_credentials_fd = -1;           // of `config`; -1: no TLS
  int previous_tls_credentials_fd = -1;  // of `previous_config`
  int ticket_keys_fd = -1;
  int redis_pid = 0;  // 0: none
  Listeners::Adopted listeners;
  std::optional<Listeners::Adopted> admin_listeners;
  std::vector<ResumedWorker> workers;
  std::vector<HistoryPoint> history;  // oldest first; for a new program that cannot read this one's scoreboard

  // All descriptors above.
  [[nodiscard]] std::vector<int> descriptors() const;
};

// The state as JSON, and back. Versions may differ: parse_resume_state() ignores keys that it does not know and has
// defaults for keys that are missing, except those without which nothing can be taken over. Throws std::exception when
// one of these is missing or a value cannot be understood. A history that cannot be understood is left out.
[[nodiscard]] std::string serialise(const ResumeState& state);
[[nodiscard]] ResumeState parse_resume_state(const std::string& text);

// Executes `program` in this process, with the arguments that we were started with. Returns only when that fails, with
// the reason; nothing has changed then. Signals are blocked in the new image until it calls block_signals(false).
[[nodiscard]] std::string exec_with_state(const std::string& program, const ResumeState& state);

// In a new image: takes the state, and makes its descriptors close-on-exec again. Empty: this is an ordinary start.
// Throws std::runtime_error when the state cannot be read.
[[nodiscard]] std::optional<ResumeState> take_resume_state();

// Blocks or unblocks the signals that the supervisor handles: between two images they would kill it.
void block_signals(bool block) noexcept;

}  // namespace pronghorn::supervisor
