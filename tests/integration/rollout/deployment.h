// A server of tests/apps/rollouts.cpp that a test reloads with other settings.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "support/catch.h"
#include "support/paths.h"
#include "support/processes/server_process.h"
#include "support/temp_dir.h"

namespace pronghorn::test {

inline bool all_of_generation(const ServerProcess& server, int generation) {
  const auto status = server.status();
  return std::all_of(status.at("workers").begin(), status.at("workers").end(), [generation](const auto& worker) {
    return worker.at("generation") == generation && worker.at("state") == "ready";
  });
}

struct Deployment {
  TempDir directory;
  std::string file = directory / "pronghorn.toml";
  ServerProcess server;
  explicit Deployment(int workers, const std::string& settings = "")
      : server({.app = app_path("apps/rollouts"), .workers = workers, .arguments = {"--config", configure(settings)}}) {
  }
  const std::string& configure(const std::string& settings) const {
    write_file(file, "[app]\n" + settings + "\n");
    return file;
  }
  ProgramResult reload(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"reload", "--wait"});
    return server.control_command(more);
  }
};

inline bool says(const ProgramResult& result, const std::string& text) {
  return result.all().find(text) != std::string::npos;
}

// Soon, because the last old worker still drains when a rollout is complete, and may take another connection.
inline bool soon(const ServerProcess& server, const std::string& path, const std::string& body) {
  return eventually(5s, [&] { return get(server.address(), path).body == body; });
}
inline bool soon(const ServerProcess& server, const std::string& path, int status) {
  return eventually(5s, [&] { return get(server.address(), path).status == status; });
}

}  // namespace pronghorn::test
