#include "supervisor/system/service_manager.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "support/catch.h"
#include "support/system/notify_socket.h"
#include "support/temp_dir.h"

using namespace pronghorn::supervisor;
using pronghorn::Fd;
using namespace std::chrono_literals;
using pronghorn::test::NotifySocket;
using pronghorn::test::TempDir;

namespace {

// A notify socket that NOTIFY_SOCKET names.
struct Manager : NotifySocket {
  explicit Manager(bool abstract = false) : NotifySocket(abstract) { ::setenv("NOTIFY_SOCKET", address().c_str(), 1); }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;
  ~Manager() {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }
};

}  // namespace

TEST_CASE("the service manager is told when the server is ready and when it stops", "[systemd]") {
  Manager manager(GENERATE(false, true));
  ServiceManager notifier;
  notifier.ready("serving with 2 workers");
  CHECK(manager.next() == "READY=1\nSTATUS=serving with 2 workers");
  notifier.stopping("finishing 3 requests");
  CHECK(manager.next() == "STOPPING=1\nSTATUS=finishing 3 requests");
}

TEST_CASE("a reload is told with its time, as Type=notify-reload requires", "[systemd]") {
  Manager manager;
  ServiceManager notifier;
  notifier.reloading("replacing workers");
  const std::string message = manager.next();
  CHECK(message.starts_with("RELOADING=1\nMONOTONIC_USEC="));
  CHECK(std::stoull(message.substr(message.rfind('=', message.find("\nSTATUS")) + 1)) > 0);
}

TEST_CASE("the status is one line and is sent only when it changes", "[systemd]") {
  Manager manager;
  ServiceManager notifier;
  notifier.status("2 workers\nREADY=1");
  CHECK(manager.next() == "STATUS=2 workers READY=1");
  notifier.status("2 workers\nREADY=1");
  CHECK(manager.next().empty());
  notifier.status("3 workers");
  CHECK(manager.next() == "STATUS=3 workers");
}

TEST_CASE("the watchdog is fed at half of its time, if it is ours", "[systemd]") {
  Manager manager;
  CHECK(ServiceManager().watchdog_period() == 0ms);
  ::setenv("WATCHDOG_USEC", "10000000", 1);
  CHECK(ServiceManager().watchdog_period() == 5s);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  ServiceManager notifier;
  CHECK(notifier.watchdog_period() == 5s);
  notifier.alive();
  CHECK(manager.next() == "WATCHDOG=1");
  ::setenv("WATCHDOG_PID", "1", 1);
  CHECK(ServiceManager().watchdog_period() == 0ms);
  ::setenv("WATCHDOG_USEC", "soon", 1);
  ::unsetenv("WATCHDOG_PID");
  CHECK(ServiceManager().watchdog_period() == 0ms);
}

TEST_CASE("a descriptor goes to the store with its name", "[systemd]") {
  Manager manager;
  ServiceManager notifier;
  const TempDir directory;
  const Fd file(::open((directory / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  notifier.keep(file.get(), "pronghorn-0");
  CHECK(manager.next() == "FDSTORE=1\nFDPOLL=0\nFDNAME=pronghorn-0");
  REQUIRE(manager.stored.size() == 1);
  CHECK(manager.stored[0].name == "pronghorn-0");
  struct stat sent{};
  struct stat kept{};
  ::fstat(file.get(), &sent);
  ::fstat(manager.stored[0].fd, &kept);
  CHECK(sent.st_ino == kept.st_ino);
  notifier.forget("pronghorn-0");
  CHECK(manager.next() == "FDSTOREREMOVE=1\nFDNAME=pronghorn-0");
}

// A manager that hangs must not block the server.
TEST_CASE("messages that the manager does not read wait, in order, and are sent later", "[systemd]") {
  Manager manager;
  ServiceManager notifier;
  int sent = 0;
  while (notifier.waiting() == 0 && sent < 100'000) notifier.status(std::to_string(sent++));
  REQUIRE(notifier.waiting() == 1);
  notifier.stopping("the last");
  notifier.alive();  // not queued
  CHECK(notifier.waiting() == 2);
  std::string last;
  for (int round = 0; notifier.waiting() > 0 && round < 10; ++round) {
    for (std::string message = manager.next(); !message.empty(); message = manager.next()) last = message;
    notifier.flush();
  }
  for (std::string message = manager.next(); !message.empty(); message = manager.next()) last = message;
  CHECK(last == "STOPPING=1\nSTATUS=the last");
}

TEST_CASE("without a service manager nothing is sent and nothing waits", "[systemd]") {
  ::unsetenv("NOTIFY_SOCKET");
  ServiceManager notifier;
  notifier.ready("serving");
  notifier.keep(0, "name");
  notifier.flush();
  CHECK(notifier.waiting() == 0);
}

TEST_CASE("a notify socket that does not exist does no harm", "[systemd]") {
  const TempDir directory;
  ::setenv("NOTIFY_SOCKET", (directory / "missing").c_str(), 1);
  ServiceManager notifier;
  for (int i = 0; i < 1'000; ++i) notifier.status(std::to_string(i));
  CHECK(notifier.waiting() <= 256);
  ::setenv("NOTIFY_SOCKET", ("/" + std::string(200, 'x')).c_str(), 1);
  ServiceManager too_long;
  too_long.ready("serving");
  CHECK(too_long.waiting() == 0);
  ::unsetenv("NOTIFY_SOCKET");
}

TEST_CASE("passed sockets of another process are not taken", "[systemd]") {
  ::setenv("LISTEN_PID", "1", 1);
  ::setenv("LISTEN_FDS", "1", 1);
  CHECK(take_passed_sockets().empty());
  CHECK(::getenv("LISTEN_FDS") == nullptr);
}
