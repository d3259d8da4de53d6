// What the supervisor acquires before its loop runs: directories, sockets, shared memory. A configuration that cannot
// work fails here.
//
// Context: supervisor, main thread, once.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/ipc/scoreboard.h"
#include "supervisor/launch/app_copy.h"
#include "supervisor/launch/handoff_queue.h"
#include "supervisor/listen/listeners.h"
#include "supervisor/system/directories.h"
#include "supervisor/system/service_manager.h"
#include "supervisor/upgrade/resume_state.h"

namespace pronghorn::supervisor {

struct Ground {
  std::string program;  // path of our binary
  std::shared_ptr<const Config> config;
  std::shared_ptr<const AppCopy> app;  // of the first generation, or of the one that runs; SupervisorProcess takes it
  Scoreboard board;
  Listeners listeners;
  std::unique_ptr<Listeners> admin_listeners;  // null: there is no admin process
  HandoffQueue handoff;
  DirectoryLocks locks;
  std::optional<ResumeState> resume;  // left by the image that this program has replaced
};

// Switches permanently to the user and group of the configuration. Call it before anything that creates files, so that
// they belong to that user. Throws ConfigurationError, std::system_error.
void change_identity(const Config& config);

// Uses the sockets of `passed` that are bound to an address of the configuration, and closes the others. Throws
// ConfigurationError when the configuration has to change (a port in use), std::runtime_error otherwise.
[[nodiscard]] Ground fresh_ground(const Config& config, std::vector<PassedSocket> passed);

// What an earlier image of this program has left. Throws std::runtime_error.
[[nodiscard]] Ground resumed_ground(ResumeState state);

}  // namespace pronghorn::supervisor
