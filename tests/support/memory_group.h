// A control group with a memory limit, for a server that is to run out of it.
#pragma once

#include <cstdint>
#include <string>

namespace pronghorn::test {

// Context: a test that runs as root. Where control groups cannot be made (no root, a container without them, version 2
// without the controller for children) ok() is false. The destructor removes the group, which must be empty by then.
class MemoryGroup {
 public:
  explicit MemoryGroup(std::uint64_t limit);
  MemoryGroup(const MemoryGroup&) = delete;
  MemoryGroup& operator=(const MemoryGroup&) = delete;
  ~MemoryGroup();

  [[nodiscard]] bool ok() const noexcept { return ok_; }
  // A process whose id is written to it becomes a member.
  [[nodiscard]] std::string processes_file() const { return path_ + "/cgroup.procs"; }

 private:
  std::string path_;
  bool ok_ = false;
};

}  // namespace pronghorn::test
