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
#include "common/tls/ticket_keys.h"
#include "supervisor/launch/app_copy.h"
#include "supervisor/launch/handoff_queue.h"
#include "supervisor/listen/listeners.h"
#include "supervisor/system/directories.h"
#include "supervisor/system/service_manager.h"
#include "supervisor/tls/tls_material.h"
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
  std::shared_ptr<const TlsMaterial> tls;  // null: no address is https
  std::optional<TicketKeys> ticket_keys;   // the same
  std::optional<ResumeState> resume;       // left by the image that this program has replaced
};

// The name of the ticket keys at the service manager, which keeps them while the server restarts.
inline constexpr const char* kTicketKeysName = "pronghorn-ticket-keys";

// Reads the certificates of the configuration; null if it serves no https. Those for Redis go into the configuration.
// Call it before change_identity(), because only root may be able to read private keys. Throws ConfigurationError.
[[nodiscard]] std::shared_ptr<const TlsMaterial> first_tls_material(Config& config);

// Switches permanently to the user and group of the configuration. Call it before anything that creates files, so that
// they belong to that user. Throws ConfigurationError, std::system_error.
void change_identity(const Config& config);

// Uses the sockets of `passed` that are bound to an address of the configuration, and closes the others. Throws
// ConfigurationError when the configuration has to change (a port in use), std::runtime_error otherwise.
[[nodiscard]] Ground fresh_ground(const Config& config, std::vector<PassedSocket> passed,
                                  std::shared_ptr<const TlsMaterial> tls);

// What an earlier image of this program has left. Throws std::runtime_error.
[[nodiscard]] Ground resumed_ground(ResumeState state);

}  // namespace pronghorn::supervisor
