// The server under a service manager, for which a datagram socket of the test stands in.
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "support/catch.h"
#include "support/paths.h"
#include "support/processes/server_process.h"
#include "support/system/notify_socket.h"

using namespace pronghorn::test;

namespace {

// `pronghorn serve` as systemd starts it when it passes sockets: LISTEN_PID is the process itself.
std::vector<std::string> serve_with_listen_pid() {
  return {"sh", "-c", "LISTEN_PID=$$ exec \"$0\" \"$@\"", program_path(), "serve", app_path("hello")};
}

std::string join(const std::vector<NotifySocket::Stored>& stored) {
  std::string names;
  for (const auto& one : stored) names += (names.empty() ? "" : ":") + one.name;
  return names;
}

std::vector<int> descriptors(const std::vector<NotifySocket::Stored>& stored) {
  std::vector<int> fds;
  for (const auto& one : stored) fds.push_back(one.fd);
  return fds;
}

// A listening socket on a free port of 127.0.0.1, as a socket unit makes it.
struct SocketUnit {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::string address;

  SocketUnit() {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name;
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&name), size) == 0);
    REQUIRE(::listen(fd, 100) == 0);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
    address = "127.0.0.1:" + std::to_string(ntohs(name.sin_port));
  }
  SocketUnit(const SocketUnit&) = delete;
  SocketUnit& operator=(const SocketUnit&) = delete;
  ~SocketUnit() { ::close(fd); }
};

}  // namespace

TEST_CASE("the service manager is notified of start, reload and stop", "[systemd]") {
  NotifySocket manager;
  ServerProcess server({.workers = 2, .environment = {{"NOTIFY_SOCKET", manager.address()}}});
  CHECK(manager.wait_for("READY=1") == "READY=1\nSTATUS=2 of 2 workers ready, generation 1");
  server.signal(SIGHUP);
  CHECK(manager.wait_for("RELOADING=1").find("\nMONOTONIC_USEC=") != std::string::npos);
  CHECK(manager.wait_for("READY=1") == "READY=1\nSTATUS=2 of 2 workers ready, generation 2");
  CHECK(server.stop() == ExitStatus{.code = 0, .signal = 0});
  CHECK_FALSE(manager.wait_for("STOPPING=1").empty());
}

TEST_CASE("a reload that fails ends the reload for the service manager as well", "[systemd]") {
  NotifySocket manager;
  const TempDir directory;
  const std::string app = directory / "app.so";
  std::filesystem::copy_file(app_path("hello"), app);
  const ServerProcess server({.app = app, .workers = 1, .environment = {{"NOTIFY_SOCKET", manager.address()}}});
  REQUIRE_FALSE(manager.wait_for("READY=1").empty());
  std::filesystem::copy_file(app_path("apps/throws_in_setup"), app, std::filesystem::copy_options::overwrite_existing);
  server.signal(SIGHUP);
  CHECK_FALSE(manager.wait_for("RELOADING=1").empty());
  CHECK(manager.wait_for("READY=1").find("generation 1") != std::string::npos);
}

TEST_CASE("a reload of an invalid configuration ends the reload for the service manager as well", "[systemd]") {
  // A reload that failed before the loop's next turn was never announced, and systemd waited for RELOADING=1.
  NotifySocket manager;
  const TempDir directory;
  const std::string file = directory / "p.toml";
  write_file(file, "");
  const ServerProcess server(
      {.workers = 1, .arguments = {"--config", file}, .environment = {{"NOTIFY_SOCKET", manager.address()}}});
  REQUIRE_FALSE(manager.wait_for("READY=1").empty());
  write_file(file, "no_such_option = 1\n");
  server.signal(SIGHUP);
  CHECK_FALSE(manager.wait_for("RELOADING=1").empty());
  CHECK(manager.wait_for("READY=1").find("generation 1") != std::string::npos);
}

TEST_CASE("the watchdog is fed while the supervisor's loop turns", "[systemd]") {
  NotifySocket manager;
  const ServerProcess server(
      {.workers = 1, .environment = {{"NOTIFY_SOCKET", manager.address()}, {"WATCHDOG_USEC", "100000"}}});
  for (int i = 0; i < 3; ++i) CHECK_FALSE(manager.wait_for("WATCHDOG=1").empty());
  ::kill(server.pid(), SIGSTOP);
  while (!manager.next().empty()) {
  }
  CHECK(manager.wait_for("WATCHDOG=1", 500ms).empty());
  ::kill(server.pid(), SIGCONT);
  CHECK_FALSE(manager.wait_for("WATCHDOG=1").empty());
}

TEST_CASE("a notify socket that nobody reads does not block the server", "[systemd]") {
  NotifySocket manager;
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, manager.address().data(), manager.address().size());
  // Until a new socket, whose own buffer is empty, finds the queue full.
  std::vector<int> fillers;
  for (int sent = 1; sent != 0;) {
    fillers.push_back(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    for (sent = 0; ::sendto(fillers.back(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 1;) ++sent;
  }
  {
    ServerProcess server({.workers = 2, .environment = {{"NOTIFY_SOCKET", manager.address()}}});
    CHECK(get(server.address(), "/hello").status == 200);
    CHECK(eventually(5s, [&] { return server.log_has("the service manager does not read its notify socket"); }));
    // It reads again: what waited arrives.
    CHECK_FALSE(manager.wait_for("READY=1").empty());
    CHECK(server.stop() == ExitStatus{.code = 0, .signal = 0});
  }
  for (const int filler : fillers) ::close(filler);
}

// systemd's default ended the service when the kernel killed one worker, and status 3 (a database was down) prevented the
// next start. A second line of the same name would win, or reset the first.
TEST_CASE("the unit outlives a killed worker, waits for a canary, and restarts whatever may pass", "[systemd]") {
  const std::string unit = read_file(source_path("/deploy/systemd/pronghorn.service"));
  const auto values_of = [&unit](const std::string& key) {
    std::vector<std::string> values;
    const std::string begin = "\n" + key + "=";
    for (auto at = unit.find(begin); at != std::string::npos; at = unit.find(begin, at + 1)) {
      const auto value = at + begin.size();
      values.push_back(unit.substr(value, unit.find('\n', value) - value));
    }
    return values;
  };
  using Values = std::vector<std::string>;
  CHECK(values_of("OOMPolicy") == Values{"continue"});
  CHECK(values_of("Restart") == Values{"on-failure"});
  CHECK(values_of("RestartPreventExitStatus") == Values{"2"});  // counts for the main process only: systemd.service(5)
  CHECK(values_of("ExecStartPre").empty());
  CHECK(values_of("TimeoutStartSec") == Values{"infinity"});  // it counts for a reload, and so for the canary
  CHECK(values_of("StartLimitIntervalSec") == Values{"0"});
  CHECK(values_of("AmbientCapabilities") == Values{"CAP_NET_BIND_SERVICE"});
  CHECK(values_of("CapabilityBoundingSet") == Values{"CAP_NET_BIND_SERVICE"});
}

TEST_CASE("a socket of a socket unit is served, by all workers", "[systemd]") {
  const SocketUnit unit;
  const ServerProcess server({.command = serve_with_listen_pid(),
                              .workers = 2,
                              .listen = {unit.address},
                              .environment = {{"LISTEN_FDS", "1"}, {"LISTEN_FDNAMES", "shop.socket"}},
                              .passed_fds = {unit.fd}});
  CHECK(server.address().text() == unit.address);
  CHECK(get(server.address(), "/hello/Ann").status == 200);
  CHECK(server.status().at("workers").size() == 2);
  CHECK_FALSE(server.log_has("closing a socket from the service manager"));
}

TEST_CASE("a passed socket for no address of the server is closed, and the log says so", "[systemd]") {
  const SocketUnit unit;
  const ServerProcess server({.command = serve_with_listen_pid(),
                              .workers = 1,
                              .environment = {{"LISTEN_FDS", "1"}, {"LISTEN_FDNAMES", "other.socket"}},
                              .passed_fds = {unit.fd}});
  CHECK(server.log_has("closing a socket from the service manager"));
  CHECK(server.log_has("other.socket"));
  CHECK(get(server.address(), "/hello/Ann").status == 200);
}

TEST_CASE("connections wait while a crashed supervisor is replaced, and are served", "[systemd]") {
  NotifySocket manager;
  Address address;
  {
    ServerProcess server(
        {.command = serve_with_listen_pid(), .workers = 2, .environment = {{"NOTIFY_SOCKET", manager.address()}}});
    REQUIRE(eventually(10s, [&] {
      static_cast<void>(manager.next());
      return manager.stored.size() == 2;
    }));
    address = server.address();
    ::kill(server.pid(), SIGKILL);
    REQUIRE(server.wait_exit(10s).has_value());
    REQUIRE(eventually(20s, [&] { return server.processes().empty(); }));
  }
  HttpConnection waiting(address);  // accepted by the kernel: the sockets still listen
  REQUIRE(waiting.send_raw("GET /hello/Ann HTTP/1.1\r\nHost: test\r\n\r\n"));
  const ServerProcess successor({.command = serve_with_listen_pid(),
                                 .workers = 2,
                                 .listen = {address.text()},
                                 .environment = {{"NOTIFY_SOCKET", manager.address()},
                                                 {"LISTEN_FDS", std::to_string(manager.stored.size())},
                                                 {"LISTEN_FDNAMES", join(manager.stored)}},
                                 .passed_fds = descriptors(manager.stored)});
  CHECK(waiting.read_response().status == 200);
  CHECK(successor.status().at("workers").size() == 2);
}

// The store keeps the socket, and the file that leads to it may be gone.
TEST_CASE("a stored Unix socket whose file was deleted is replaced", "[systemd]") {
  NotifySocket manager;
  const TempDir directory;
  const std::string path = directory / "http.sock";
  {
    ServerProcess server({.command = serve_with_listen_pid(),
                          .workers = 1,
                          .listen = {"unix:" + path},
                          .environment = {{"NOTIFY_SOCKET", manager.address()}}});
    REQUIRE_FALSE(manager.wait_for("FDSTORE=1").empty());
    REQUIRE(std::filesystem::remove(path));
    CHECK(manager.wait_for("FDSTOREREMOVE=1") == "FDSTOREREMOVE=1\nFDNAME=pronghorn");
    CHECK_FALSE(manager.wait_for("FDSTORE=1").empty());
    ::kill(server.pid(), SIGKILL);
    REQUIRE(server.wait_exit(10s).has_value());
    REQUIRE(eventually(20s, [&] { return server.processes().empty(); }));
  }
  REQUIRE(manager.stored.size() == 2);
  std::filesystem::remove(path);  // once more, while no server runs
  const ServerProcess successor({.command = serve_with_listen_pid(),
                                 .workers = 1,
                                 .listen = {"unix:" + path},
                                 .environment = {{"LISTEN_FDS", "1"}, {"LISTEN_FDNAMES", "pronghorn"}},
                                 .passed_fds = {manager.stored.back().fd}});
  CHECK(get(successor.address(), "/hello/Ann").status == 200);
}

TEST_CASE("a server that stops takes its sockets out of the store", "[systemd]") {
  NotifySocket manager;
  ServerProcess server({.workers = 1, .environment = {{"NOTIFY_SOCKET", manager.address()}}});
  REQUIRE_FALSE(manager.wait_for("FDSTORE=1").empty());
  CHECK(server.stop() == ExitStatus{.code = 0, .signal = 0});
  CHECK(manager.wait_for("FDSTOREREMOVE=1") == "FDSTOREREMOVE=1\nFDNAME=pronghorn-slot-0");
}
