// The jobs of the demo, as its client sees them.
#pragma once

#include <string>

#include "support/catch.h"
#include "support/processes/server_process.h"

namespace pronghorn::test {

// POST /jobs QUERY; returns the job's id.
inline std::string enqueue(const ServerProcess& server, const std::string& query) {
  const HttpResponse response = post(server.address(), "/jobs" + query);
  REQUIRE(response.status == 202);
  return response.json().at("id").get<std::string>();
}

inline nlohmann::json job(const ServerProcess& server, const std::string& id) {
  return get(server.address(), "/jobs/" + id).json();
}

// Workers may be killed meanwhile.
inline bool wait_state(const ServerProcess& server, const std::string& id, const std::string& state) {
  return eventually(60s, [&] {
    try {
      return job(server, id).value("state", "") == state;
    } catch (const ClientError&) {
      return false;
    }
  });
}

}  // namespace pronghorn::test
