// HTTP over TLS, end to end: what works on a plain port works on https.
#include <signal.h>

#include <string>
#include <vector>

#include "framing/framing_cases.h"
#include "integration/http/framing_table.h"
#include "support/catch.h"
#include "support/clients/event_source.h"
#include "support/clients/websocket_client.h"
#include "support/processes/server_process.h"
#include "support/tls/issued.h"
#include "support/tls/tls_tunnel.h"

using namespace pronghorn::test;

namespace {

// A server with a plain port, address 0, and one for https, address 1.
struct HttpsServer {
  explicit HttpsServer(ServerOptions options = {}) : server(with_tls(std::move(options))), tunnel(server.address(1)) {}

  ServerOptions with_tls(ServerOptions options) {
    write_file(folder / "certificate.pem", issue({.names = {"localhost", "IP:127.0.0.1"}}).both());
    options.listen = {"127.0.0.1:0", "https://127.0.0.1:0"};
    options.arguments.insert(options.arguments.begin(), {"--tls-certificate", folder / "certificate.pem"});
    return options;
  }
  [[nodiscard]] const Address& https() const { return tunnel.address(); }
  [[nodiscard]] std::uint64_t total(const char* group, const char* name) const {
    return server.status().at("totals").at("tls").at(group).at(name).get<std::uint64_t>();
  }
  [[nodiscard]] std::string port() const { return std::to_string(server.address(1).port); }

  TempDir folder;
  ServerProcess server;
  TlsTunnel tunnel;
};

}  // namespace

TEST_CASE("a request over TLS is answered, and the server names its address https", "[https]") {
  const HttpsServer https;
  const HttpResponse response = get(https.https(), "/json");
  CHECK(response.status == 200);
  CHECK(response.body == R"({"message":"Hello, World!"})");
  CHECK(https.server.log_has("https://127.0.0.1:" + https.port()));
  CHECK(https.server.status().dump().find("https://127.0.0.1:" + https.port()) != std::string::npos);
  CHECK(eventually(10s, [&] { return https.server.status().at("totals").at("tls").at("full").get<int>() >= 1; }));
}

TEST_CASE("curl and openssl s_client speak to the server over TLS 1.2 and 1.3", "[https]") {
  const HttpsServer https(
      {.arguments = {"--access-log", "access.log", "--access-log-format", "%r %s %{SSL_PROTOCOL}x %{SSL_CIPHER}x"}});
  const std::string url = "https://127.0.0.1:" + https.port() + "/hello";
  for (const char* version : {"--tlsv1.3", "--tls-max"}) {
    std::vector<std::string> command{"curl", "-sS", "--http1.1", "--cacert", https.folder / "certificate.pem", version};
    if (command.back() == "--tls-max") command.emplace_back("1.2");
    command.push_back(url);
    const ProgramResult result = run_program(command);
    INFO(result.all());
    CHECK(result.status == 0);
  }
  const std::string log = https.server.file("access.log");
  CHECK(eventually(10s, [&] {
    const std::string lines = read_file(log);
    return lines.find("200 TLSv1.3 TLS_") != std::string::npos && lines.find("200 TLSv1.2 ECDHE-") != std::string::npos;
  }));
  const ProgramResult old = run_program(
      {"openssl", "s_client", "-connect", "127.0.0.1:" + https.port(), "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"});
  CHECK(old.status != 0);
  const ProgramResult foreign =
      run_program({"openssl", "s_client", "-connect", "127.0.0.1:" + https.port(), "-alpn", "spdy/3"});
  CHECK(foreign.all().find("no application protocol") != std::string::npos);
  CHECK(
      eventually(10s, [&] { return https.total("failed", "version") == 1 && https.total("failed", "protocol") == 1; }));
}

TEST_CASE("requests are framed over TLS as over plain TCP", "[https]") {
  const HttpsServer https;
  check_table(https.https(), content_length_cases());
  check_table(https.https(), transfer_encoding_cases());
  check_table(https.https(), smuggling_cases());
  check_table(https.https(), trailer_cases());
  check_table(https.https(), connection_cases());
}

TEST_CASE("large responses, files and uploads pass TLS unchanged", "[https]") {
  const HttpsServer https;
  HttpConnection connection(https.https());
  const HttpResponse download = connection.get("/download?bytes=5000000");
  REQUIRE(download.body.size() == 5'000'000);
  bool same = true;
  for (std::size_t i = 0; i < download.body.size(); ++i) {
    same = same && static_cast<unsigned char>(download.body[i]) == i % 251;
  }
  CHECK(same);
  const HttpResponse upload = connection.request("POST", "/upload", {}, download.body);
  CHECK(upload.json().at("size") == 5'000'000);
  CHECK(connection.get("/stream").status == 200);
  CHECK(connection.get("/rooms.html").body == get(https.server.address(), "/rooms.html").body);
}

TEST_CASE("a client that reads slowly gets the whole of a large response over TLS", "[https]") {
  const HttpsServer https({.workers = 1});
  HttpConnection connection(https.https());
  connection.send_raw("GET /download?bytes=30000000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  // Others are served while it waits.
  for (int i = 0; i < 5; ++i) CHECK(get(https.https(), "/json").status == 200);
  CHECK(connection.read_response().body.size() == 30'000'000);
}

TEST_CASE("server-sent events and WebSockets work over TLS", "[https]") {
  const HttpsServer https;
  HttpConnection events(https.https());
  events.send_raw("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(events.read_until("data:").find("text/event-stream") != std::string::npos);
  WebSocketClient socket(https.https(), "/echo/socket");
  REQUIRE(socket.open());
  const std::string large(300'000, 'a');
  for (const std::string& text : {std::string("hello"), large}) {
    socket.send_text(text);
    const WebSocketEvent answer = socket.receive();
    CHECK(answer.payload == text);
  }
}

TEST_CASE("plain HTTP on the TLS port is answered 400 with what to do, and TLS on a plain port is logged", "[https]") {
  const HttpsServer https;
  HttpConnection plain(https.server.address(1));
  plain.send_raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const HttpResponse response = plain.read_response();
  CHECK(response.status == 400);
  CHECK(response.header("Content-Type") == "application/problem+json");
  CHECK(response.json().at("detail") == "plain HTTP was sent to a TLS port; use an https address instead");
  plain.finish_sending();
  CHECK(plain.closed_within(20s));
  CHECK(eventually(10s, [&] { return https.total("failed", "plain_http") == 1; }));
  CHECK(https.server.log_has("plain HTTP was sent to a TLS port"));
  const TlsTunnel mixed_up(https.server.address(0));
  CHECK_THROWS_AS(get(mixed_up.address(), "/"), ClientError);
  CHECK(eventually(10s, [&] { return https.server.log_has("TLS was sent to a port of plain HTTP"); }));
}

TEST_CASE("clients that end or break their handshake leave nothing behind", "[https]") {
  const HttpsServer https({.workers = 1, .arguments = {"--header-timeout", "1s"}});
  const std::string hello = "\x16\x03\x01";
  std::vector<HttpConnection> silent;
  for (int i = 0; i < 20; ++i) {
    HttpConnection leaves(https.server.address(1));
    leaves.send_raw(hello);
    HttpConnection sends_garbage(https.server.address(1));
    sends_garbage.send_raw(std::string("\x16\x03\x01\x00\x05hello", 10));
    silent.emplace_back(https.server.address(1)).send_raw(hello);
  }
  for (HttpConnection& each : silent) CHECK(each.closed_within(20s));
  CHECK(https.total("failed", "timed_out") == 20);
  CHECK(eventually(10s, [&] {
    return https.total("failed", "client_left") == 20 && https.total("failed", "malformed") == 20 &&
           https.server.status().at("totals").at("connections") == 1;
  }));
  CHECK(get(https.https(), "/json").status == 200);
}

TEST_CASE("more handshakes than allowed per second wait for their turn", "[https]") {
  const HttpsServer https({.workers = 1, .arguments = {"--tls-handshakes", "8"}});
  for (int i = 0; i < 20; ++i) CHECK(get(https.https(), "/json").status == 200);
  const auto waited = https.server.status().at("totals").at("limits").at("tls_handshakes").get<int>();
  CHECK(waited > 0);
}

TEST_CASE("a connection over TLS ends with its killed worker, and its client comes back with its session", "[https]") {
  const HttpsServer https;
  HttpConnection kept(https.https());
  REQUIRE(kept.get("/json").status == 200);
  HttpConnection plain(https.server.address());
  REQUIRE(plain.get("/json").status == 200);
  for (const pid_t pid : https.server.worker_pids()) ::kill(pid, SIGKILL);
  CHECK(kept.closed_within(20s));
  CHECK(plain.get("/json").status == 200);  // survives
  CHECK(get(https.https(), "/json").status == 200);
}

TEST_CASE("a reload gives connections over TLS a response that says that it is their last", "[https]") {
  const HttpsServer https;
  HttpConnection kept(https.https());
  REQUIRE(kept.get("/json").status == 200);
  kept.send_raw("GET /slow?ms=1000 HTTP/1.1\r\nHost: x\r\n\r\n");
  const ProgramResult reload = https.server.control_command({"reload"});
  CHECK(reload.status == 0);
  const HttpResponse last = kept.read_response();
  CHECK(last.status == 200);
  CHECK(get(https.https(), "/json").status == 200);
}

TEST_CASE("TLS works behind the distributor and behind a PROXY header", "[https]") {
  SECTION("round-robin") {
    const HttpsServer https({.arguments = {"--balance", "round-robin"}});
    for (int i = 0; i < 4; ++i) CHECK(get(https.https(), "/json").status == 200);
    CHECK(get(https.server.address(), "/json").status == 200);
  }
  SECTION("cookie-hash") {
    const HttpsServer https({.arguments = {"--balance", "cookie-hash"}});
    CHECK(get(https.https(), "/json").status == 200);
    CHECK(get(https.server.address(), "/json").status == 200);
  }
  SECTION("PROXY") {
    const HttpsServer https(
        {.arguments = {"--proxy-protocol", "127.0.0.1/32", "--access-log", "access.log", "--admin", "127.0.0.1:0"},
         .wait = true});
    const TlsTunnel proxy(https.server.address(1), "PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n");
    CHECK(get(proxy.address(), "/json").status == 200);
    CHECK(eventually(
        10s, [&] { return read_file(https.server.file("access.log")).find("192.0.2.7") != std::string::npos; }));
  }
}

TEST_CASE("cookies of sessions are secure over TLS", "[https]") {
  const HttpsServer https({.redis = "embedded"});
  REQUIRE(https.server.wait_redis());
  CHECK(get(https.https(), "/visits").header("Set-Cookie").find("Secure") != std::string::npos);
  CHECK(get(https.server.address(), "/visits").header("Set-Cookie").find("Secure") == std::string::npos);
}
