// A control group with a memory limit, for tests in which a server runs out of memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pronghorn::test {

// Context: a test that runs as root. ok() is false if the group cannot be created: without root, in a container without
// control groups, or where version 2 does not delegate the memory controller. The group must be empty when destroyed.
// Version 2: when its memory runs out, the kernel kills all processes of the group at once (memory.oom.group).
class MemoryGroup {
 public:
  explicit MemoryGroup(std::uint64_t limit);
  MemoryGroup(const MemoryGroup&) = delete;
  MemoryGroup& operator=(const MemoryGroup&) = delete;
  ~MemoryGroup();

  [[nodiscard]] bool ok() const noexcept { return ok_; }
  // A command for ServerOptions: `pronghorn serve APP`, with all its processes in the group.
  [[nodiscard]] std::vector<std::string> serve(const std::string& app) const;
  // How many processes of the group the kernel has killed because memory ran out.
  [[nodiscard]] std::uint64_t oom_kills() const;

 private:
  std::string path_;
  bool ok_ = false;
};

}  // namespace pronghorn::test
