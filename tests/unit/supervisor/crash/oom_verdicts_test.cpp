#include "supervisor/crash/oom_verdicts.h"

#include <filesystem>
#include <fstream>

#include "support/catch.h"
#include "support/temp_dir.h"

using namespace pronghorn::supervisor;
using pronghorn::test::TempDir;

namespace {

void write(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path) << text;
}

}  // namespace

TEST_CASE("the narrowest limit of our group and those above it holds", "[supervisor][memory]") {
  const TempDir root;
  write(root / "proc/self/cgroup", "1:name=x:/elsewhere\n0::/app/server\n");
  write(root / "sys/fs/cgroup/app/memory.max", "268435456\n");
  write(root / "sys/fs/cgroup/app/memory.current", "1000\n");
  write(root / "sys/fs/cgroup/app/server/memory.max", "max\n");
  write(root / "sys/fs/cgroup/app/server/memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 9\n");
  const MemoryState state = read_memory_state(root.path());
  CHECK(state.cgroup == root / "sys/fs/cgroup/app");
  CHECK(state.limit_bytes == 268435456U);
  CHECK(state.current_bytes == 1000U);
  CHECK(state.oom_kills == 2U);
  CHECK_FALSE(state.whole_machine);
  CHECK(describe_oom(state) == "killed by the kernel: the cgroup's memory limit (256 MiB) was reached");
}

TEST_CASE("the memory controller of version 1 tells the same", "[supervisor][memory]") {
  const TempDir root;
  write(root / "proc/self/cgroup", "4:cpu,memory:/app\n0::/\n");
  write(root / "sys/fs/cgroup/memory/app/memory.limit_in_bytes", "268435456\n");
  write(root / "sys/fs/cgroup/memory/app/memory.usage_in_bytes", "1000\n");
  write(root / "sys/fs/cgroup/memory/app/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n");
  write(root / "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");  // none
  const MemoryState state = read_memory_state(root.path());
  CHECK(state.cgroup == root / "sys/fs/cgroup/memory/app");
  CHECK(state.limit_bytes == 268435456U);
  CHECK(state.current_bytes == 1000U);
  CHECK(state.oom_kills == 7U);
}

TEST_CASE("without a memory controller the machine's kills count", "[supervisor][memory]") {
  const TempDir root;
  write(root / "proc/self/cgroup", "0::/\n");
  write(root / "proc/vmstat", "oom_kills_x 8\noom_kill 5\n");
  const MemoryState state = read_memory_state(root.path());
  CHECK(state.oom_kills == 5U);
  CHECK(state.whole_machine);
  CHECK_FALSE(state.limit_bytes);
  CHECK(describe_oom(state) == "killed by the kernel: the machine was out of memory");
}

TEST_CASE("without information about memory there is no verdict", "[supervisor][memory]") {
  const TempDir root;
  const MemoryState state = read_memory_state(root.path());
  CHECK_FALSE(state.oom_kills);
  OomVerdicts verdicts;
  verdicts.sample(1'000, state.oom_kills);
  CHECK_FALSE(verdicts.explains());
}

TEST_CASE("each kill by the kernel explains one exit", "[supervisor][memory]") {
  OomVerdicts verdicts;
  verdicts.sample(0, 4);
  CHECK_FALSE(verdicts.explains());  // somebody else's SIGKILL
  verdicts.sample(1'000, 6);
  verdicts.sample(2'000, 6);  // counted by the kernel long before we reap
  CHECK(verdicts.explains());
  CHECK(verdicts.explains());
  CHECK_FALSE(verdicts.explains());
}

TEST_CASE("an old kill explains no exit", "[supervisor][memory]") {
  OomVerdicts verdicts;
  verdicts.sample(0, 4);
  verdicts.sample(1'000, 5);  // the embedded Redis, say
  for (std::uint64_t at = 2'000; at <= 9'000; at += 1'000) verdicts.sample(at, 5);
  CHECK_FALSE(verdicts.explains());
}
