// Asking a running server: one line of JSON each way over its control socket.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>

namespace pronghorn::server {

// The server could not be asked, or said no: exit status 1. what() is one line.
class ControlError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct ControlRequest {
  std::string command;  // status, scale, reload, rollback, quarantine, stop
  // Of scale: "4", "+1", "-1"; of reload: how long to watch the canary, in milliseconds; of quarantine: an id to
  // release, or "all".
  std::string argument = {};
  bool wait = false;  // answer when it is done
};

// Sends the request to the socket at `path` and returns the answer, whose "ok" is true. Blocks until the server
// answers, at most `limit` (absent: as long as the server lives). Throws ControlError.
[[nodiscard]] nlohmann::json ask_server(const std::string& path, const ControlRequest& request,
                                        std::optional<std::chrono::milliseconds> limit = std::chrono::seconds(10));

// The JSON of /status. Throws ControlError.
[[nodiscard]] nlohmann::json ask_status(const std::string& path);

}  // namespace pronghorn::server
