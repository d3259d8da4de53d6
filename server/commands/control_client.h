// A client of the control socket: one line of JSON each way.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>

#include "common/fd.h"

namespace pronghorn::server {

// The server cannot be reached, or it refuses: exit status 1. what() is one line.
class ControlError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct ControlRequest {
  std::string command;  // status, requests, log-level, scale, reload, rollback, quarantine, stop
  // For scale "4", "+1" or "-1"; for reload the time to watch the canary, in milliseconds; for quarantine an id to
  // release, or "all"; for log-level the level.
  std::string argument = {};
  bool wait = false;  // answer only when the command has completed
};

// Sends the request to the socket at `path` and returns the answer, whose "ok" is true. Blocks until the server
// answers, at most `limit` (absent: until the server answers or exits; but 10 s until it can be reached). Throws
// ControlError.
[[nodiscard]] nlohmann::json ask_server(const std::string& path, const ControlRequest& request,
                                        std::optional<std::chrono::milliseconds> limit = std::chrono::seconds(10));

// Waits for a server's exit. Construct it before asking the server to stop. Throws ControlError.
class ServerExit {
 public:
  explicit ServerExit(const std::string& path);
  void wait() const;  // blocks without a limit: the server limits its stop with drain_delay and drain_timeout

 private:
  Fd pidfd_;
};

// The JSON of /status. Throws ControlError.
[[nodiscard]] nlohmann::json ask_status(const std::string& path);

}  // namespace pronghorn::server
