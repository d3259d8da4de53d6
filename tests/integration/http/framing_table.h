// Runs a table of framing cases against a server: for the tests http_*_test.cpp.
#pragma once

#include "framing/framing_cases.h"
#include "support/server_process.h"

namespace pronghorn::test {

// Sends each case, on connections of their own, in one piece, then byte by byte when it is short, then, when the
// connection is to end, with one more request right behind it, which must not be answered. Checks statuses, body, and
// what becomes of the connection: one that is kept must answer one more request, one that is closed yields no further
// byte.
void check_table(const ServerProcess& server, const FramingCases& table);

}  // namespace pronghorn::test
