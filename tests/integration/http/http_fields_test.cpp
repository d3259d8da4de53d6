// Header fields (RFC 9112 section 5): what two implementations could read differently is refused.
#include "integration/http/framing_table.h"
#include "support/catch.h"

using namespace pronghorn::test;

TEST_CASE("a request names one valid host", "[http]") { check_table(ServerProcess({.workers = 1}), host_cases()); }

TEST_CASE("field names are tokens, right before their colon, and no line is folded", "[http]") {
  const ServerProcess server({.workers = 1});
  check_table(server, folding_cases());
  check_table(server, field_name_cases());
}

TEST_CASE("field values may be anything but control characters", "[http]") {
  check_table(ServerProcess({.workers = 1}), field_value_cases());
}

TEST_CASE("no control character passes anywhere", "[http]") {
  check_table(ServerProcess({.workers = 1}), control_cases());
}

TEST_CASE("Connection says whether the connection stays open", "[http]") {
  check_table(ServerProcess({.workers = 1}), connection_cases());
}
