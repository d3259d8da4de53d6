// For tests that only root can run.
#pragma once

#include <unistd.h>

#include "support/catch.h"

namespace pronghorn::test {

// Whether processes may be started as another user. If not, warns that the test is skipped.
inline bool can_change_user() {
  if (::geteuid() == 0) return true;
  WARN("skipped: only root can change the user");
  return false;
}

}  // namespace pronghorn::test
