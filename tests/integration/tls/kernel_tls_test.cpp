// TLS connections outlive their worker when the kernel encrypts them. On a machine whose kernel has no TLS these
// tests say so and pass; ./scripts/test-kernel-tls runs them on one that has.
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <list>
#include <random>
#include <string>

#include "integration/survival/clients.h"
#include "integration/tls/tls_files.h"
#include "support/catch.h"
#include "support/clients/http_client.h"
#include "support/clients/websocket_client.h"
#include "support/processes/server_process.h"
#include "support/tls/tls_client.h"
#include "support/tls/tls_tunnel.h"

using namespace pronghorn::test;

namespace {

constexpr std::size_t kLong = 20'000'000;  // more than the buffers of both sockets

// A server with TLS, and a way to it for clients that speak plain text.
struct KernelServer {
  enum class Wanted { on, off };
  explicit KernelServer(ServerOptions more = {}, Wanted wanted = Wanted::on)
      : server(with_tls(std::move(more))), tunnel(server.address(1)) {
    usable = server.log_has("kernel TLS is in use");
    if (usable || wanted == Wanted::off) return;
    if (std::getenv("PRONGHORN_NEEDS_KERNEL_TLS") != nullptr) FAIL("this kernel has no TLS");
    WARN("this kernel has no TLS: nothing is tested");
  }

  ServerOptions with_tls(ServerOptions options) const {
    const ServerOptions tls = files.options();
    options.listen = tls.listen;
    options.arguments.insert(options.arguments.end(), tls.arguments.begin(), tls.arguments.end());
    return options;
  }
  void kill_workers() const {
    const auto pids = server.worker_pids();
    for (const pid_t pid : pids) REQUIRE(::kill(pid, SIGKILL) == 0);
    REQUIRE(server.wait_ready(static_cast<int>(pids.size()), 60s));
  }
  [[nodiscard]] int handed_over() const {
    return server.status().at("totals").at("connections_handed_over").at("death").get<int>();
  }

  TlsFiles files;
  ServerProcess server;
  TlsTunnel tunnel;
  bool usable;
};

std::string download(std::size_t size) { return "/download?bytes=" + std::to_string(size); }

}  // namespace

TEST_CASE("TLS connections survive kill -9, and stay https", "[kernel-tls]") {
  const KernelServer https({.app = app_path("apps/origin"), .workers = 2});
  if (!https.usable) return;
  std::list<TlsConnection> clients;
  for (int i = 0; i < 12; ++i) REQUIRE(clients.emplace_back(https.server.address(1)).get("/origin").status == 200);
  for (int kills = 0; kills < 3; ++kills) {
    https.kill_workers();
    for (TlsConnection& each : clients) CHECK(each.get("/origin").body.find(" https localhost") != std::string::npos);
  }
  CHECK(https.handed_over() >= 36);
  CHECK(https.server.status().at("totals").at("tls").at("full") == 12);
}

TEST_CASE("the access log knows the cipher of a TLS connection that another worker took up", "[kernel-tls]") {
  const KernelServer https(
      {.workers = 1,
       .arguments = {"--access-log", "access.log", "--access-log-format", "%r %{SSL_PROTOCOL}x %{SSL_CIPHER}x"}});
  if (!https.usable) return;
  TlsConnection client(https.server.address(1));
  REQUIRE(client.get("/hello").status == 200);
  https.kill_workers();
  REQUIRE(client.get("/json").status == 200);
  CHECK(eventually(10s, [&] {
    return read_file(https.server.file("access.log")).find("GET /json HTTP/1.1 TLSv1.3 TLS_AES_256_GCM_SHA384") !=
           std::string::npos;
  }));
}

TEST_CASE("each cipher of TLS 1.3 survives, and TLS 1.2 ends with its worker", "[kernel-tls]") {
  const KernelServer https({.workers = 1});
  if (!https.usable) return;
  const std::string url = "https://127.0.0.1:" + std::to_string(https.server.address(1).port) + "/hello";
  for (const char* cipher : {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}) {
    TlsConnection client(https.server.address(1), {.ciphers = cipher, .version = TLS1_3_VERSION});
    CHECK(client.get("/hello").status == 200);
    https.kill_workers();
    CHECK(client.get(download(100'000)).body == numbered(100'000));
  }
  TlsConnection old(https.server.address(1), {.version = TLS1_2_VERSION});
  CHECK(old.get("/hello").status == 200);
  https.kill_workers();
  CHECK(old.ends());
}

TEST_CASE("a client that asks for short records gets them, with kernel TLS too", "[kernel-tls]") {
  const KernelServer https({.workers = 1});
  if (!https.usable) return;
  TlsConnection client(https.server.address(1), {.max_fragment = TLSEXT_max_fragment_length_512});
  CHECK(client.get(download(100'000)).body == numbered(100'000));
}

TEST_CASE("a long response over TLS arrives whole, whatever is killed", "[kernel-tls]") {
  const KernelServer https({.workers = 1});
  if (!https.usable) return;
  HttpConnection connection(https.tunnel.address(), 60s);
  REQUIRE(connection.send_raw(request("GET", download(kLong))));
  for (int kills = 0; kills < 3; ++kills) {
    REQUIRE(connection.readable_within(20s));
    https.kill_workers();
  }
  CHECK(connection.read_response().body == numbered(kLong));
  CHECK(connection.get("/hello").status == 200);
  const auto totals = https.server.status().at("totals");
  CHECK(totals.at("lost_requests").at("worker_died") == 0);
  CHECK(totals.at("requests_replayed") == 0);
  CHECK(https.server.log_has("1 response finished"));
}

TEST_CASE("a file over TLS arrives whole, also when it was deleted meanwhile", "[kernel-tls]") {
  const TempDir folder;
  const std::string content = numbered(kLong);
  write_file(folder / "long.bin", content);
  const KernelServer https(
      {.app = app_path("apps/files"), .workers = 1, .environment = {{"FILES_FOLDER", folder.path()}}});
  if (!https.usable) return;
  HttpConnection connection(https.tunnel.address(), 60s);
  REQUIRE(connection.send_raw(request("GET", "/files/long.bin")));
  REQUIRE(connection.readable_within(20s));
  https.kill_workers();
  REQUIRE(::unlink((folder / "long.bin").c_str()) == 0);
  https.kill_workers();
  CHECK(connection.read_response().body == content);
}

TEST_CASE("requests over TLS that were running are run again, or refused", "[kernel-tls]") {
  const KernelServer https({.workers = 1});
  if (!https.usable) return;
  HttpConnection reads(https.tunnel.address(), 60s);
  HttpConnection writes(https.tunnel.address(), 60s);
  REQUIRE(reads.get("/hello").status == 200);
  REQUIRE(writes.get("/hello").status == 200);
  REQUIRE(reads.send_raw(request("GET", "/slow?ms=3000")));
  REQUIRE(writes.send_raw(request("POST", "/echo", "Content-Length: 100\r\n\r\nsome of it")));
  REQUIRE(eventually(20s, [&] { return https.server.status().at("totals").at("in_flight") >= 3; }));  // with this one
  https.kill_workers();
  CHECK(reads.read_response().status == 200);
  CHECK(writes.read_response().status == 503);
}

TEST_CASE("a reload closes no TLS connection", "[kernel-tls]") {
  const KernelServer https({.workers = 2});
  if (!https.usable) return;
  std::list<TlsConnection> clients;
  for (int i = 0; i < 8; ++i) REQUIRE(clients.emplace_back(https.server.address(1)).get("/hello").status == 200);
  REQUIRE(https.server.control_command({"reload", "--wait"}).status == 0);
  for (TlsConnection& each : clients) {
    const auto response = each.get("/hello");
    CHECK(response.status == 200);
    CHECK_FALSE(response.closes);
  }
}

TEST_CASE("a WebSocket over TLS survives its worker", "[kernel-tls]") {
  const KernelServer https({.workers = 1});
  if (!https.usable) return;
  WebSocketClient socket(https.tunnel.address(), "/echo/socket");
  REQUIRE(socket.open());
  for (int kills = 0; kills < 3; ++kills) {
    socket.send_text("round " + std::to_string(kills));
    CHECK(socket.receive_text() == "round " + std::to_string(kills));
    https.kill_workers();
  }
  socket.send_text(std::string(300'000, 'x'));
  CHECK(socket.receive_text() == std::string(300'000, 'x'));
}

// The kernel drops a record for which TCP has no room when the connection is closed or shut down.
TEST_CASE("the last response of a TLS connection arrives whole, and then close_notify", "[kernel-tls]") {
  const KernelServer https({.workers = 1});
  if (!https.usable) return;
  for (const std::size_t size : {100UL, 16'000UL, 300'000UL, 3'000'000UL, kLong}) {
    HttpConnection connection(https.tunnel.address(), 60s);
    REQUIRE(connection.send_raw(request("GET", download(size), "Connection: close\r\n\r\n")));
    REQUIRE(connection.readable_within(20s));
    CHECK(connection.read_response().body == numbered(size));
    CHECK(connection.closed_within(20s));
  }
}

TEST_CASE("a client that says close_notify is still answered, with kernel TLS too", "[kernel-tls]") {
  const KernelServer https({.workers = 1});
  if (!https.usable) return;
  for (const std::size_t size : {100UL, 300'000UL, kLong}) {
    HttpConnection connection(https.tunnel.address(), 60s);
    REQUIRE(connection.get("/hello").status == 200);
    REQUIRE(connection.send_raw(request("GET", download(size))));
    connection.finish_sending();
    CHECK(connection.read_response().body == numbered(size));
    CHECK(connection.closed_within(20s));
  }
}

TEST_CASE("uploads over TLS arrive whole, also the first bytes of a connection", "[kernel-tls]") {
  const KernelServer https({.workers = 1, .arguments = {"--max-body", "30MiB"}});
  if (!https.usable) return;
  const std::string body = numbered(5'000'000);
  for (int i = 0; i < 3; ++i) {
    HttpConnection connection(https.tunnel.address(), 60s);
    CHECK(connection.request("POST", "/echo", {}, body).body == body);
    CHECK(connection.get("/hello").status == 200);
  }
}

// Any byte too much, too little or twice would show.
TEST_CASE("kills at any moment leave TLS connections whole or closed", "[kernel-tls]") {
  const KernelServer https({.workers = 1});
  if (!https.usable) return;
  std::minstd_rand random(7);
  int whole = 0;
  constexpr int kRounds = 25;
  for (int round = 0; round < kRounds; ++round) {
    HttpConnection connection(https.tunnel.address(), 60s);
    const std::size_t size = random() % 2'000'000;
    REQUIRE(connection.get("/hello").status == 200);
    REQUIRE(connection.send_raw(request("GET", download(size)) + request("GET", "/json")));
    static_cast<void>(::poll(nullptr, 0, static_cast<int>(random() % 40)));  // at any moment
    https.kill_workers();
    try {
      CHECK(connection.read_response().body == numbered(size));
      CHECK(connection.read_response().status == 200);
      CHECK(connection.get("/hello").status == 200);
      ++whole;
    } catch (const ClientError& error) {
      UNSCOPED_INFO(error.what());
    }
  }
  CHECK(whole >= kRounds - 3);  // one whose worker died in the middle of reading from it ends
}

TEST_CASE("kernel_tls = false: TLS connections end with their worker", "[kernel-tls]") {
  const KernelServer https({.workers = 1, .arguments = {"--kernel-tls", "false"}}, KernelServer::Wanted::off);
  CHECK_FALSE(https.usable);
  TlsConnection client(https.server.address(1));
  REQUIRE(client.get("/hello").status == 200);
  https.kill_workers();
  CHECK(client.ends());
}
