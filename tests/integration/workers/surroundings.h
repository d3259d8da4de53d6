// What a server holds while nothing happens: processes, descriptors, mappings, files. Tests compare before and after.
#pragma once

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>
#include <string>

#include "support/catch.h"
#include "support/processes/server_process.h"

namespace pronghorn::test {

inline std::set<std::string> files_in(const std::string& directory) {
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) files.insert(entry.path());
  return files;
}

// Copies of the application: of the generation that runs, and of the one to go back to.
inline std::size_t copies(const ServerProcess& server) {
  const auto all = std::filesystem::directory_iterator(server.file("run/apps"));
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

// Mappings of shared memory that has no name in the file system.
inline std::size_t shared_mappings(pid_t pid) {
  const std::string maps = read_file("/proc/" + std::to_string(pid) + "/maps");
  std::size_t count = 0;
  for (auto at = maps.find("/memfd:"); at != std::string::npos; at = maps.find("/memfd:", at + 1)) ++count;
  return count;
}

// What a server has while nothing happens.
class Surroundings {
 public:
  explicit Surroundings(const ServerProcess& server)
      : server_(server),
        processes_(settled_processes(server)),
        supervisor_descriptors_(open_descriptors(server.pid())),
        worker_descriptors_(most_descriptors()),
        mappings_(shared_mappings(server.pid())),
        files_(files_in(server.file("run"))) {}

  void check_unchanged() const {
    CHECK(eventually(30s, [this] { return server_.processes().size() == processes_; }));
    // Function names for a stack are looked up in another process, for up to 10 s.
    CHECK(eventually(30s, [this] { return open_descriptors(server_.pid()) <= supervisor_descriptors_; }));
    CHECK(eventually(10s, [this] { return most_descriptors() <= worker_descriptors_; }));
    CHECK(shared_mappings(server_.pid()) == mappings_);
    CHECK(files_in(server_.file("run")) == files_);
    CHECK(eventually(10s, [this] { return copies(server_) <= 2; }));
  }

 private:
  // The supervisor, and each worker with its guardian. The guardian of a worker before may end a moment after it.
  static std::size_t settled_processes(const ServerProcess& server) {
    const std::size_t processes = 1 + 2 * server.worker_pids().size();
    REQUIRE(eventually(10s, [&] { return server.processes().size() == processes; }));
    return processes;
  }
  [[nodiscard]] std::size_t most_descriptors() const {
    std::size_t most = 0;
    for (const pid_t pid : server_.worker_pids()) most = std::max(most, open_descriptors(pid));
    return most;
  }

  const ServerProcess& server_;
  std::size_t processes_;
  std::size_t supervisor_descriptors_;
  std::size_t worker_descriptors_;
  std::size_t mappings_;
  std::set<std::string> files_;
};

}  // namespace pronghorn::test
