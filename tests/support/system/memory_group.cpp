#include "support/system/memory_group.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support/eventually.h"
#include "support/processes/server_process.h"

namespace pronghorn::test {
namespace {

bool write_to(const std::string& path, std::uint64_t number) {
  std::ofstream file(path);
  file << number << std::flush;
  return file.good();
}

}  // namespace

MemoryGroup::MemoryGroup(std::uint64_t limit) {
  const bool version_1 = std::filesystem::exists("/sys/fs/cgroup/memory/memory.limit_in_bytes");
  path_ = (version_1 ? "/sys/fs/cgroup/memory/pronghorn-test-" : "/sys/fs/cgroup/pronghorn-test-") +
          std::to_string(::getpid());
  if (::mkdir(path_.c_str(), 0755) != 0) return;
  ok_ = write_to(path_ + (version_1 ? "/memory.limit_in_bytes" : "/memory.max"), limit);
  static_cast<void>(write_to(path_ + (version_1 ? "/memory.swappiness" : "/memory.swap.max"), 0));
  if (!version_1) static_cast<void>(write_to(path_ + "/memory.oom.group", 1));
}

std::vector<std::string> MemoryGroup::serve(const std::string& app) const {
  return {"/bin/sh",      "-c",    "echo $$ > " + path_ + "/cgroup.procs; exec \"$0\" \"$@\"",
          program_path(), "serve", app_path(app)};
}

std::uint64_t MemoryGroup::oom_kills() const {
  for (const char* name : {"/memory.oom_control", "/memory.events"}) {
    std::ifstream file(path_ + name);
    std::string key;
    std::uint64_t number = 0;
    while (file >> key >> number) {
      if (key == "oom_kill") return number;
    }
  }
  return 0;
}

MemoryGroup::~MemoryGroup() {
  static_cast<void>(eventually(5s, [this] { return ::rmdir(path_.c_str()) == 0 || !std::filesystem::exists(path_); }));
}

}  // namespace pronghorn::test
