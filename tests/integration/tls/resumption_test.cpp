// TLS sessions are resumed on any worker, after a reload, an upgrade, and a restart under systemd.
#include <signal.h>

#include "integration/tls/tls_files.h"
#include "support/catch.h"
#include "support/system/notify_socket.h"
#include "support/tls/tls_client.h"

using namespace pronghorn::test;

namespace {

TlsSession new_session(const Address& address, int version) {
  TlsConnection connection(address, {.version = version});
  CHECK(connection.get("/hello").status == 200);  // the tickets of TLS 1.3 come before the response
  const TlsSession session = connection.session();
  REQUIRE(session != nullptr);
  return session;
}

// Of 100 connections with this session.
int resumptions(const Address& address, const TlsSession& session, int version) {
  int resumed = 0;
  for (int i = 0; i < 100; ++i) {
    TlsConnection connection(address, {.session = session, .version = version});
    if (connection.resumed()) ++resumed;
  }
  return resumed;
}

}  // namespace

TEST_CASE("a session is resumed on every worker, after a reload and after an upgrade", "[tls][resumption]") {
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  const TlsFiles files;
  ServerOptions options = files.options();
  options.workers = 3;
  const ServerProcess server(options);
  const TlsSession session = new_session(server.address(1), version);
  CHECK(resumptions(server.address(1), session, version) == 100);
  REQUIRE(server.control_command({"reload", "--wait"}).status == 0);
  CHECK(resumptions(server.address(1), session, version) == 100);
  REQUIRE(server.control_command({"upgrade"}, 60s).status == 0);
  CHECK(resumptions(server.address(1), session, version) == 100);
  for (const pid_t pid : server.worker_pids()) ::kill(pid, SIGKILL);
  REQUIRE(eventually(20s, [&] { return server.wait_ready(3, 0ms); }));
  CHECK(resumptions(server.address(1), session, version) == 100);
}

TEST_CASE("an upgrade is refused when the certificates do not fit", "[tls][upgrade]") {
  const TlsFiles files;
  const ServerProcess server(files.options());
  TlsFiles::put(files.key, issue().key);
  const ProgramResult result = server.control_command({"upgrade"});
  INFO(result.all());
  CHECK(result.status == 1);
  CHECK(result.err.find(files.certificate) != std::string::npos);
  CHECK(TlsConnection(server.address(1)).get("/hello").status == 200);
}

TEST_CASE("a session is resumed after the supervisor has crashed, with systemd's store", "[tls][systemd]") {
  const TlsFiles files;
  NotifySocket manager;
  TlsSession session;
  {
    ServerOptions options = files.options();
    options.environment = {{"NOTIFY_SOCKET", manager.address()}};
    ServerProcess server(options);
    REQUIRE_FALSE(manager.wait_for("FDNAME=pronghorn-ticket-keys").empty());
    session = new_session(server.address(1), TLS1_3_VERSION);
    ::kill(server.pid(), SIGKILL);
    REQUIRE(server.wait_exit(10s).has_value());
    REQUIRE(eventually(20s, [&] { return server.processes().empty(); }));
  }
  int keys = -1;
  for (const auto& stored : manager.stored) {
    if (stored.name == "pronghorn-ticket-keys") keys = stored.fd;
  }
  REQUIRE(keys >= 0);
  ServerOptions options = files.options();
  options.command = {"sh", "-c", "LISTEN_PID=$$ exec \"$0\" \"$@\"", program_path(), "serve", app_path("demo")};
  options.environment = {{"LISTEN_FDS", "1"}, {"LISTEN_FDNAMES", "pronghorn-ticket-keys"}};
  options.passed_fds = {keys};
  const ServerProcess successor(options);
  CHECK(resumptions(successor.address(1), session, TLS1_3_VERSION) == 100);
}
