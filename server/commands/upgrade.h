// `pronghorn upgrade`: replaces the program of a running server with the one that is on disk now.
#pragma once

#include <string>

namespace pronghorn::server {

// Asks the server at `control_socket` to check the new program and to replace its own with it, waits until every worker
// has been replaced too, and returns one line for the user. Throws ControlError if nothing has changed, or if the
// workers could not be replaced and the new supervisor runs with the old ones; the message says which.
[[nodiscard]] std::string upgrade_server(const std::string& control_socket);

}  // namespace pronghorn::server
