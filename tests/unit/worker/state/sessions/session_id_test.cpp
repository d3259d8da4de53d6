#include "worker/state/sessions/session_id.h"

#include <set>

#include "support/catch.h"

using namespace pronghorn;

TEST_CASE("session ids are 43 characters of base64url and never the same", "[session]") {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(worker::new_session_id());
  CHECK(ids.size() == 1000);
  for (const std::string& id : ids) REQUIRE(worker::is_session_id(id));
  CHECK_FALSE(worker::is_session_id(""));
  CHECK_FALSE(worker::is_session_id(std::string(42, 'a')));
  CHECK_FALSE(worker::is_session_id(std::string(44, 'a')));
  CHECK_FALSE(worker::is_session_id(std::string(42, 'a') + '}'));
  CHECK_FALSE(worker::is_session_id(std::string(42, 'a') + '\0'));
}
