#include "supervisor/listeners.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <filesystem>

#include "supervisor/errors.h"
#include "support/catch.h"

using namespace pronghorn;
using namespace pronghorn::supervisor;

namespace {

bool can_connect(std::uint16_t port) {
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

std::string error_of(const std::vector<std::string>& addresses) {
  try {
    const Listeners listeners(addresses, Balance::reuseport, 16, 1, 1);
  } catch (const ConfigurationError& error) {
    return error.what();
  }
  return {};
}

struct TemporaryFolder {
  std::filesystem::path path;
  TemporaryFolder() {
    char name[] = "/tmp/pronghorn-test-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE("port 0 becomes one real port that all slots share", "[supervisor]") {
  const Listeners listeners({"127.0.0.1:0"}, Balance::reuseport, 16, 3, 3);
  CHECK(listeners.all().size() == 3);
  CHECK(listeners.slots() == 3);
  const Address& address = listeners.addresses().front();
  CHECK(address.port != 0);
  CHECK(address.text == "127.0.0.1:" + std::to_string(address.port));
  CHECK(can_connect(address.port));
}

TEST_CASE("a port on which another server listens is refused, although it could be shared", "[supervisor]") {
  const Listeners first({"127.0.0.1:0"}, Balance::reuseport, 16, 1, 1);
  const std::string text = first.addresses().front().text;
  CHECK(error_of({text}) ==
        "listen " + text + ": address already in use; stop the other server or choose another port");
}

// Neither listened yet when the other one looked.
TEST_CASE("of two servers that start in the same moment one gets the port", "[supervisor]") {
  const Listeners first({"127.0.0.1:0"}, Balance::reuseport, 16, 1, 0);
  CHECK(error_of({first.addresses().front().text}).find("address already in use") != std::string::npos);
}

TEST_CASE("a slot that is not used yet gets no connection", "[supervisor]") {
  Listeners listeners({"127.0.0.1:0"}, Balance::reuseport, 16, 2, 1);
  CHECK(listeners.live(0));
  CHECK_FALSE(listeners.live(1));
  REQUIRE(listeners.add_slot(2));
  CHECK(listeners.all().size() == 3);
  listeners.listen(1);
  CHECK(listeners.live(1));
  CHECK_FALSE(listeners.live(2));
  for (const auto& listener : listeners.all()) {
    int accepting = 0;
    socklen_t size = sizeof accepting;
    REQUIRE(::getsockopt(listener.fd, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &size) == 0);
    CHECK((accepting != 0) == (listener.slot != 2));
  }
}

TEST_CASE("sockets of slots that never listened are closed when the slots are not wanted any more", "[supervisor]") {
  Listeners listeners({"127.0.0.1:0"}, Balance::reuseport, 16, 4, 1);
  listeners.listen(1);
  listeners.drop_unused(1);
  CHECK(listeners.slots() == 2);
  CHECK(listeners.all().size() == 2);
  REQUIRE(listeners.add_slot(2));
  CHECK(listeners.all().size() == 3);
  CHECK(can_connect(listeners.addresses().front().port));
}

TEST_CASE("more workers than the limit of descriptors has room for are refused with that limit", "[supervisor]") {
  Listeners listeners({"127.0.0.1:0", "127.0.0.1:0"}, Balance::reuseport, 16, 1, 1);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit low{100, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  const auto few = listeners.check_room(17);
  const auto many = listeners.check_room(18);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(few);
  REQUIRE_FALSE(many);
  CHECK(many.error() ==
        "workers 18: so many need 104 descriptors and the limit is 100; use fewer, or raise it (ulimit -n, systemd: "
        "LimitNOFILE)");
}

TEST_CASE("no other balance than reuseport has more than one socket an address", "[supervisor]") {
  for (const Balance balance : {Balance::shared, Balance::round_robin}) {
    Listeners listeners({"127.0.0.1:0"}, balance, 16, 4, 4);
    CHECK(listeners.all().size() == 1);
    CHECK_FALSE(listeners.live(0));  // no queue of its own that would need cover
    REQUIRE(listeners.add_slot(4));
    CHECK(listeners.all().size() == 1);
  }
}

TEST_CASE("clients are refused once the listeners are closed", "[supervisor]") {
  Listeners listeners({"127.0.0.1:0"}, Balance::reuseport, 16, 2, 2);
  const std::uint16_t port = listeners.addresses().front().port;
  CHECK(can_connect(port));
  listeners.close();
  CHECK_FALSE(can_connect(port));
}

TEST_CASE("a Unix socket that is in use is refused, a stale one is replaced, another file is kept", "[supervisor]") {
  const TemporaryFolder folder;
  const std::string path = folder.path / "app.sock";
  {
    Listeners first({"unix:" + path}, Balance::reuseport, 16, 2, 2);
    CHECK(first.all().size() == 1);
    CHECK(error_of({"unix:" + path}).find("another server is listening") != std::string::npos);
    std::filesystem::create_hard_link(path, folder.path / "kept");
  }
  CHECK_FALSE(std::filesystem::exists(path));
  std::filesystem::rename(folder.path / "kept", path);  // as if the server had been killed
  {
    Listeners second({"unix:" + path}, Balance::reuseport, 16, 1, 1);
    CHECK(is_socket_live(path));
    second.close();
  }
  CHECK_FALSE(std::filesystem::exists(path));
  std::filesystem::create_directory(path);
  CHECK(error_of({"unix:" + path}).find("not a socket") != std::string::npos);
}

TEST_CASE("a start that fails later leaves no file of a Unix socket behind", "[supervisor]") {
  const TemporaryFolder folder;
  const std::string path = folder.path / "app.sock";
  CHECK_FALSE(error_of({"unix:" + path, "192.0.2.1:0"}).empty());
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("the file of a Unix socket that somebody else has replaced is not removed", "[supervisor]") {
  const TemporaryFolder folder;
  const std::string path = folder.path / "app.sock";
  UnixSocket first(path, mode_t{0600});
  struct stat facts{};
  REQUIRE(::stat(path.c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0600);
  std::filesystem::rename(path, folder.path / "old.sock");
  const UnixSocket second(path, mode_t{0600});
  first.remove_file();
  CHECK(std::filesystem::exists(path));
}

TEST_CASE("a path that is too long for a Unix socket is refused with its limit", "[supervisor]") {
  CHECK(error_of({"unix:/tmp/" + std::string(120, 'x')}).find("at most 107 bytes") != std::string::npos);
}
