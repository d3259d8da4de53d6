#include "server/options/values/machine.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "support/catch.h"

using namespace pronghorn::server;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

// A file system with cgroup files, below a temporary directory.
class FakeRoot {
 public:
  FakeRoot() {
    std::string pattern = (fs::temp_directory_path() / "pronghorn-root-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  FakeRoot(const FakeRoot&) = delete;
  FakeRoot& operator=(const FakeRoot&) = delete;
  ~FakeRoot() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  void write(const std::string& file, const std::string& text) const {
    fs::create_directories((path_ / file).parent_path());
    std::ofstream(path_ / file) << text;
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

TEST_CASE("auto workers are the affinity or the quota rounded up, at least one", "[machine]") {
  CHECK(usable_cores(8, std::nullopt) == 8);
  CHECK(usable_cores(8, 2.0) == 2);
  CHECK(usable_cores(8, 1.5) == 2);
  CHECK(usable_cores(8, 0.25) == 1);
  CHECK(usable_cores(2, 16.0) == 2);
  CHECK(usable_cores(0, std::nullopt) == 1);
  CHECK(usable_cores(1024, std::nullopt) == 255);
}

TEST_CASE("a CPU quota is read from cgroup v2's cpu.max", "[machine]") {
  CHECK(cgroup2_quota("150000 100000\n") == 1.5);
  CHECK_FALSE(cgroup2_quota("max 100000\n"));
  for (const char* text : {"", "max", "x y", "100000", "100000 0", "-1 100000", "100000 x"}) {
    CAPTURE(text);
    CHECK_FALSE(cgroup2_quota(text));
  }
}

TEST_CASE("a CPU quota is read from cgroup v1's two files", "[machine]") {
  CHECK(cgroup1_quota("200000\n", "100000\n") == 2.0);
  CHECK_FALSE(cgroup1_quota("-1\n", "100000\n"));
  CHECK_FALSE(cgroup1_quota("", ""));
}

TEST_CASE("the tightest quota on the way to the root of the cgroups counts", "[machine]") {
  const FakeRoot root;
  CHECK_FALSE(cgroup_quota(root.path()));
  root.write("proc/self/cgroup", "0::/system.slice/shop.service\n");
  root.write("sys/fs/cgroup/system.slice/shop.service/cpu.max", "max 100000\n");
  root.write("sys/fs/cgroup/system.slice/cpu.max", "300000 100000\n");
  CHECK(cgroup_quota(root.path()) == 3.0);
  root.write("sys/fs/cgroup/system.slice/shop.service/cpu.max", "50000 100000\n");
  CHECK(cgroup_quota(root.path()) == 0.5);
}

TEST_CASE("the quota of a container is found at the root of its cgroups", "[machine]") {
  const FakeRoot v2;
  v2.write("proc/self/cgroup", "0::/\n");
  v2.write("sys/fs/cgroup/cpu.max", "250000 100000\n");
  CHECK(cgroup_quota(v2.path()) == 2.5);

  const FakeRoot v1;  // the path is the host's and does not exist in the container
  v1.write("proc/self/cgroup", "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/docker/abc\n");
  v1.write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n");
  v1.write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  CHECK(cgroup_quota(v1.path()) == 1.0);
}

TEST_CASE("the runtime directory is the user's own", "[machine]") {
  Machine machine;
  machine.uid = 1000;
  CHECK(default_runtime_dir(machine) == "/tmp/pronghorn-1000");
  machine.environment["XDG_RUNTIME_DIR"] = "/run/user/1000";
  CHECK(default_runtime_dir(machine) == "/run/user/1000/pronghorn");
  CHECK(default_runtime_dir(Machine{}) == "/run/pronghorn");
}

TEST_CASE("the data directory is systemd's, root's or the user's", "[machine]") {
  Machine machine;
  CHECK(default_data_dir(machine) == "/var/lib/pronghorn");
  machine.uid = 1000;
  machine.environment["HOME"] = "/home/ann";
  CHECK(default_data_dir(machine) == "/home/ann/.local/state/pronghorn");
  machine.environment["XDG_STATE_HOME"] = "/state";
  CHECK(default_data_dir(machine) == "/state/pronghorn");
  machine.environment["STATE_DIRECTORY"] = "/var/lib/shop:/var/lib/other";
  CHECK(default_data_dir(machine) == "/var/lib/shop");
}

TEST_CASE("only a managed server without a terminal keeps serving before it drains", "[machine]") {
  Machine machine;
  CHECK(default_drain_delay(machine) == 0ms);
  machine.environment["INVOCATION_ID"] = "0123456789abcdef0123456789abcdef";  // all that Type=exec gets
  CHECK(default_drain_delay(machine) == 5s);
  machine.environment = {{"NOTIFY_SOCKET", "/run/systemd/notify"}};
  CHECK(default_drain_delay(machine) == 5s);
  machine.on_terminal = true;
  CHECK(default_drain_delay(machine) == 0ms);
  machine = {};
  machine.environment["KUBERNETES_SERVICE_HOST"] = "10.0.0.1";
  CHECK(default_drain_delay(machine) == 5s);
}
