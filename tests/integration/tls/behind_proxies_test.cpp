// https and HTTP/2 behind the real nginx and haproxy, configured as docs/proxies.md says.
#include <signal.h>

#include <string>
#include <utility>
#include <vector>

#include "support/catch.h"
#include "support/clients/event_source.h"
#include "support/clients/http_client.h"
#include "support/clients/websocket_client.h"
#include "support/processes/proxy.h"
#include "support/processes/server_process.h"
#include "support/temp_dir.h"
#include "support/tls/test_authority.h"

using namespace pronghorn::test;

namespace {

constexpr const char* kSection = "TLS between the proxy and Pronghorn";

// A server with the example's options: plain HTTP for the test itself on address 0, https for the proxy on address 1.
struct SecureServer {
  explicit SecureServer(const std::string& name = "shop.internal")
      : files(authority.issue_files({.names = {name}})), server(options()) {}

  ServerOptions options() const {
    std::string text = proxy_example(kSection, "toml");
    text = with(std::move(text), "\"https://10.0.0.7:8443\"", "\"127.0.0.1:0\", \"https://127.0.0.1:0\"");
    text = with(std::move(text), "/etc/pronghorn/shop.internal.pem", files.certificate);
    text = with(std::move(text), "/etc/pronghorn/shop.internal.key", files.key);
    text = with(std::move(text), "10.0.0.5", "127.0.0.1");
    write_file(folder / "pronghorn.toml", text);
    return {
        .workers = 2, .listen = {}, .arguments = {"--config", folder / "pronghorn.toml", "--keep-alive-requests", "0"}};
  }
  [[nodiscard]] std::uint64_t http2_requests() const {
    return server.status().at("totals").at("http2").at("requests").get<std::uint64_t>();
  }

  TestAuthority authority;
  IssuedFiles files;
  TempDir folder;
  ServerProcess server;
};

void start_nginx(Proxy& proxy, const SecureServer& secure) {
  std::string sites = proxy_example("nginx", "nginx");
  sites = with(std::move(sites), "    proxy_pass http://shop;\n", proxy_example(kSection, "nginx"));
  sites = with(std::move(sites), "/etc/nginx/internal-ca.pem", secure.authority.ca());
  proxy.start_nginx(with(std::move(sites), "127.0.0.1:8080", host_and_port(secure.server.address(1))));
}

// `words`: the line `default-server`.
std::string haproxy_with(const std::string& words, const Address& server) {
  std::string text = proxy_example("haproxy", "haproxy");
  text = text.substr(0, text.find("  server shop1")) + words + "  server shop1 10.0.0.7:8080 check inter 1s\n";
  return with(std::move(text), "10.0.0.7:8080", host_and_port(server));
}

std::string haproxy_words(const SecureServer& secure) {
  return with(proxy_example(kSection, "haproxy"), "/etc/haproxy/internal-ca.pem", secure.authority.ca());
}

void check_proxied(const Address& proxy) {
  REQUIRE(eventually(20s, [&] { return get(proxy, "/hello").status == 200; }));
  CHECK(get(proxy, "/status").status == 404);
  const std::string body(1'000'000, 'x');  // nginx refuses more than 1 MiB
  CHECK(post(proxy, "/upload", body).json().at("size") == body.size());
  CHECK(get(proxy, "/download?bytes=3000000").body.size() == 3'000'000);
  CHECK(get(proxy, "/stream").status == 200);
  EventSource events(proxy, "/events");
  CHECK(eventually(20s, [&] {
    events.read();
    return !events.events.empty();
  }));
  WebSocketClient socket(proxy, "/echo/socket", {.headers = {{"Origin", "http://" + host_and_port(proxy)}}});
  REQUIRE(socket.open());
  CHECK(socket.send_text("hello"));
  CHECK(socket.receive_text() == "hello");
}

// Requests go on while workers are replaced; when they are killed, no longer than it takes.
void check_replaced(const Address& proxy, const ServerProcess& server) {
  REQUIRE(server.control_command({"reload", "--wait"}, 60s).status == 0);
  for (int i = 0; i < 20; ++i) CHECK(get(proxy, "/hello").status == 200);
  for (const pid_t pid : server.worker_pids()) REQUIRE(::kill(pid, SIGKILL) == 0);
  REQUIRE(eventually(20s, [&] { return get(proxy, "/hello").status == 200; }));
}

}  // namespace

TEST_CASE("behind nginx that checks its certificate, https serves requests, streams and WebSockets", "[https][proxy]") {
  if (!is_installed(kNginx)) return;
  const SecureServer secure;
  Proxy proxy;
  start_nginx(proxy, secure);
  check_proxied(proxy.address());
  check_replaced(proxy.address(), secure.server);
  CHECK(secure.http2_requests() == 0);
}

TEST_CASE("nginx refuses a certificate that has another name", "[https][proxy]") {
  if (!is_installed(kNginx)) return;
  const SecureServer other("other.internal");
  Proxy proxy;
  start_nginx(proxy, other);
  REQUIRE(eventually(20s, [&] { return get(proxy.address(), "/status").status == 404; }));
  CHECK(get(proxy.address(), "/hello").status == 502);
}

TEST_CASE("behind haproxy that checks its certificate, HTTP/2 serves requests and streams, and HTTP/1.1 WebSockets",
          "[https][http2][proxy]") {
  if (!is_installed(kHaproxy)) return;
  const SecureServer secure;
  Proxy proxy;
  proxy.start_haproxy(haproxy_with(haproxy_words(secure), secure.server.address(1)));
  check_proxied(proxy.address());
  CHECK(secure.http2_requests() >= 4);
  check_replaced(proxy.address(), secure.server);
}

TEST_CASE("haproxy refuses a certificate that has another name", "[https][proxy]") {
  if (!is_installed(kHaproxy)) return;
  const SecureServer other("other.internal");
  Proxy proxy;
  proxy.start_haproxy(haproxy_with(haproxy_words(other), other.server.address(1)));
  REQUIRE(eventually(20s, [&] { return get(proxy.address(), "/status").status == 404; }));
  CHECK(get(proxy.address(), "/hello").status == 503);
}

TEST_CASE("behind haproxy that speaks HTTP/2 without TLS everything is served", "[http2][proxy]") {
  if (!is_installed(kHaproxy)) return;
  const ServerProcess server(
      {.workers = 2,
       .arguments = {"--http2-cleartext", "true", "--keep-alive-requests", "0", "--trusted-proxies", "127.0.0.1"}});
  Proxy proxy;
  proxy.start_haproxy(haproxy_with("  default-server proto h2 ws h1\n", server.address()));
  check_proxied(proxy.address());
  CHECK(server.status().at("totals").at("http2").at("requests").get<std::uint64_t>() >= 5);
  check_replaced(proxy.address(), server);
}
