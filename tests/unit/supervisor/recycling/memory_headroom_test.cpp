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
  void set_version_1(const std::string& limit, const std::string& used) const {
    write_file(root / "proc/self/cgroup", "4:memory:/shop/web\n0::/\n");
    const std::string folder = root / "sys/fs/cgroup/memory/shop/web";
    std::filesystem::create_directories(folder);
    write_file(folder + "/memory.limit_in_bytes", limit + "\n");
    write_file(folder + "/memory.usage_in_bytes", used + "\n");
    write_file(folder + "/memory.stat", "inactive_file 1\ntotal_inactive_file 300\ntotal_active_file 200\n");
  }
  [[nodiscard]] std::optional<std::uint64_t> headroom() const {
    const auto room = memory_room(MemoryCgroups(root.path()));
    return room ? std::optional(room->headroom) : std::nullopt;
  }
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

TEST_CASE("half of the page cache in use counts as free", "[recycling]") {
  const Machine machine;
  machine.set("shop/web", "5000", "5000", "1000\nactive_file 600");
  CHECK(machine.headroom() == 1300);
}

TEST_CASE("cgroups of version 1 are read too", "[recycling]") {
  const Machine machine;
  machine.set_version_1("5000", "4900");
  CHECK(machine.headroom() == 500);
  machine.set_version_1("9223372036854771712", "4900");
  CHECK_FALSE(machine.headroom());
}
