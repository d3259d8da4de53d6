#include "supervisor/recycling/memory_headroom.h"

#include "support/catch.h"
#include "support/temp_dir.h"

using namespace pronghorn::supervisor;
using pronghorn::test::TempDir;
using pronghorn::test::write_file;

namespace {

// A machine whose processes are in /shop/web.
struct Machine {
  TempDir root;
  Machine() {
    std::filesystem::create_directories(root / "proc/self");
    std::filesystem::create_directories(root / "sys/fs/cgroup/shop/web");
    write_file(root / "proc/self/cgroup", "0::/shop/web\n");
  }
  void set(const std::string& group, const std::string& max, const std::string& current,
           const std::string& inactive = "0") const {
    const std::string folder = root / ("sys/fs/cgroup/" + group);
    write_file(folder + "/memory.max", max + "\n");
    write_file(folder + "/memory.current", current + "\n");
    write_file(folder + "/memory.stat", "anon 5\ninactive_file " + inactive + "\nslab 3\n");
  }
  [[nodiscard]] std::optional<std::uint64_t> headroom() const { return memory_headroom(MemoryCgroups(root.path())); }
};

}  // namespace

TEST_CASE("without a limit of the cgroup there is no limit", "[recycling]") {
  const Machine machine;
  CHECK_FALSE(machine.headroom());
  machine.set("shop/web", "max", "1000");
  CHECK_FALSE(machine.headroom());
}

TEST_CASE("the tightest cgroup above us decides", "[recycling]") {
  const Machine machine;
  machine.set("shop/web", "5000", "1000");
  CHECK(machine.headroom() == 4000);
  machine.set("shop", "9000", "8500");
  CHECK(machine.headroom() == 500);
  machine.set(".", "700", "300");  // the root of a container's own mount
  CHECK(machine.headroom() == 400);
}

TEST_CASE("files that only lie in memory count as free", "[recycling]") {
  const Machine machine;
  machine.set("shop/web", "5000", "5000", "3000");
  CHECK(machine.headroom() == 3000);
  machine.set("shop/web", "5000", "6000", "500");
  CHECK(machine.headroom() == 0);
}
