// `pronghorn jobs`: what is asked of the running server.
#pragma once

#include <optional>
#include <string>

namespace pronghorn::server {

struct JobCommand {
  std::string action;               // stats, list, show, retry, drop; empty: stats
  std::string object;               // an id or a state; empty: none
  std::optional<std::string> name;  // of jobs; empty: all
  std::string count;                // the most to list
};

// The state whose jobs `list` shows: the object, or dead.
[[nodiscard]] std::string listed_state(const JobCommand& command);

// The request for a worker (worker/control/job_commands.h). Throws UsageError.
[[nodiscard]] std::string job_request(const JobCommand& command);

}  // namespace pronghorn::server
