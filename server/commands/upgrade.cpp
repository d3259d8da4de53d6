#include "server/commands/upgrade.h"

#include <fmt/format.h>

#include <optional>

#include "server/commands/control_client.h"

namespace pronghorn::server {

std::string upgrade_server(const std::string& control_socket) {
  (void)ask_status(control_socket);  // a server that hangs is reported within the usual limit
  // Without a limit: the server bounds the checks and the rollout itself.
  (void)ask_server(control_socket, {.command = "upgrade"}, std::nullopt);
  // The socket stays open during the replacement, so the next connection waits for the new program.
  const nlohmann::json answer = ask_server(control_socket, {.command = "upgrade-result"}, std::nullopt);
  return answer.value("message", "upgraded");
}

}  // namespace pronghorn::server
