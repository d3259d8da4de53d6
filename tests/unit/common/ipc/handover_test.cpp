#include "common/ipc/handover.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <stdexcept>

#include "support/catch.h"

using namespace pronghorn;

TEST_CASE("a worker reads what the supervisor wrote for it") {
  Handover before;
  before.config.name = "shop";
  before.config.app_settings["blob"] = std::string("\0\xff\n", 3);
  before.slot = 3;
  before.row = 1;
  before.generation = 9;
  before.supervisor_pid = 4242;
  before.admin = true;
  before.tls_credentials_fd = 11;
  before.ticket_keys_fd = 12;
  before.listeners = {{"127.0.0.1:8080", 0, 6, false}, {"unix:/tmp/\xfe.sock", 3, 7, true}};

  const Handover after = read_handover(write_handover(before));
  CHECK(after.config.name == "shop");
  CHECK(after.config.app_settings == before.config.app_settings);
  CHECK(after.slot == 3);
  CHECK(after.row == 1);
  CHECK(after.generation == 9);
  CHECK(after.supervisor_pid == 4242);
  CHECK(after.admin);
  CHECK(after.tls_credentials_fd == 11);
  CHECK(after.ticket_keys_fd == 12);
  REQUIRE(after.listeners.size() == 2);
  CHECK(after.listeners[0].address == "127.0.0.1:8080");
  CHECK(after.listeners[1].address == before.listeners[1].address);
  CHECK(after.listeners[1].slot == 3);
  CHECK(after.listeners[1].fd == 7);
  CHECK(after.listeners[1].is_unix);
}

TEST_CASE("a record of many listeners arrives whole") {
  Handover before;
  for (std::uint32_t slot = 0; slot < 256; ++slot) before.listeners.push_back({std::string(200, 'a'), slot, 6, false});
  CHECK(read_handover(write_handover(before)).listeners.size() == 256);
}

TEST_CASE("a record is not inherited by accident and closed once it is read") {
  const int fd = write_handover({});
  CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  (void)read_handover(fd);
  CHECK(::fcntl(fd, F_GETFD) == -1);
  CHECK_THROWS_AS(read_handover(fd), std::runtime_error);
}

TEST_CASE("an invalid record is an error, not a worker with defaults") {
  for (const std::string_view text : {"", "{}", "[1]", "{\"config\":{}}", "\xff"}) {
    const int fd = ::memfd_create("test", MFD_CLOEXEC);
    REQUIRE(::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    REQUIRE(::lseek(fd, 0, SEEK_SET) == 0);
    CHECK_THROWS_AS(read_handover(fd), std::runtime_error);
  }
}
