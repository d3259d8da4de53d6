// Sessions that tests put into Redis.
#pragma once

#include <string>

#include "unit/worker/state/state_worker.h"
#include "worker/state/sessions/session_id.h"

namespace pronghorn::test {

// The key of a session in Redis.
inline std::string key_of(const std::string& id) {
  const std::string tag(worker::tag_of(id));
  return tag.empty() ? "app:s:{" + id + "}" : "app:s:{" + tag + "}:" + id;
}

// Stores a session with user=ann and returns its id.
inline std::string new_session(StateWorker& worker) {
  Visit visit(worker);
  visit.session().set("user", "ann");
  return visit.commit_id();
}

}  // namespace pronghorn::test
