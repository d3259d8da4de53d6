// Runs a table of framing cases against a server: for the tests http_*_test.cpp.
#pragma once

#include "framing/framing_cases.h"
#include "support/processes/server_process.h"

namespace pronghorn::test {

// Sends each case on three connections: in one piece; byte by byte, if it is short; and, if the connection must be
// closed, followed by another request, which must not be answered. Checks the statuses and the body, and that the
// connection then answers one more request or is closed without another byte.
void check_table(const Address& server, const FramingCases& table);
inline void check_table(const ServerProcess& server, const FramingCases& table) {
  check_table(server.address(), table);
}

}  // namespace pronghorn::test
