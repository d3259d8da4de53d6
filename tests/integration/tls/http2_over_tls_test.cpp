// HTTP/2 as browsers speak it: chosen in the handshake of TLS.
#include <signal.h>

#include <string>
#include <thread>
#include <vector>

#include "integration/tls/tls_files.h"
#include "support/catch.h"
#include "support/clients/http2/http2_socket.h"
#include "support/processes/server_process.h"
#include "support/tls/tls_tunnel.h"

using namespace pronghorn::test;

namespace {

ProgramResult curl_https(const ServerProcess& server, const TlsFiles& files, const std::string& target,
                         std::vector<std::string> more = {}) {
  std::vector<std::string> command{"curl", "-sS", "--cacert", files.certificate, "-w", " %{http_version} %{http_code}"};
  command.insert(command.end(), more.begin(), more.end());
  command.push_back("https://localhost:" + std::to_string(server.address(1).port) + target);
  return run_program(command);
}

}  // namespace

TEST_CASE("clients over TLS may choose HTTP/2", "[https][http2]") {
  const TlsFiles files;
  const ServerProcess server(files.options());
  CHECK(curl_https(server, files, "/hello").out == "Hello, World! 2 200");
  CHECK(curl_https(server, files, "/hello", {"--http1.1"}).out == "Hello, World! 1.1 200");
  CHECK(curl_https(server, files, "/hello", {"--tls-max", "1.2"}).out == "Hello, World! 2 200");
  write_file(server.file("body"), std::string(3'000'000, 'x'));
  const ProgramResult upload = curl_https(server, files, "/upload", {"--data-binary", "@" + server.file("body")});
  CHECK(upload.out.find("\"size\":3000000") != std::string::npos);
  CHECK(upload.out.ends_with(" 2 200"));
  const ProgramResult download =
      curl_https(server, files, "/download?bytes=3000000", {"-o", "/dev/null", "-w", "%{size_download}"});
  CHECK(download.out == "3000000");
  CHECK(server.status().at("totals").at("http2").at("requests") == 4);
}

TEST_CASE("without http2 clients over TLS are offered HTTP/1.1 alone", "[https][http2]") {
  const TlsFiles files;
  const ServerProcess server(files.options({"--http2", "false"}));
  CHECK(curl_https(server, files, "/hello").out == "Hello, World! 1.1 200");
}

TEST_CASE("a reload finishes the requests of HTTP/2 over TLS", "[https][http2][reload]") {
  const TlsFiles files;
  const ServerProcess server(files.options());
  ProgramResult slow;
  std::thread client([&] { slow = curl_https(server, files, "/slow?ms=1500"); });
  CHECK(eventually(10s, [&] { return server.status().at("totals").at("in_flight") >= 2; }));
  CHECK(server.control_command({"reload", "--wait"}).status == 0);
  client.join();
  CHECK(slow.out.ends_with(" 2 200"));
}

TEST_CASE("early hints and trailers pass HTTP/2 over TLS", "[https][http2]") {
  const TlsFiles files;
  ServerOptions options = files.options({"--early-hints", "true"});
  options.app = app_path("apps/messages");
  const ServerProcess server(std::move(options));
  const TlsTunnel tunnel(server.address(1), {}, "\x02h2");
  Http2Socket client(tunnel.address());
  const Http2Answer hinted = client.ask("GET", "/hinted");
  CHECK(hinted.interim == std::vector<int>{103});
  CHECK(hinted.field("link").value_or("").find("</style.css>; rel=preload; as=style") != std::string::npos);
  CHECK(hinted.status == 200);
  CHECK(hinted.body == "done");
  const Http2Answer summed = client.ask("GET", "/summed");
  CHECK(summed.body == "some text");
  CHECK(summed.trailers == Http2Fields{{"x-sum", "9"}});
  const std::int32_t upload = client.client().request("POST", "/trailer", {}, {}, true);
  CHECK(client.send_raw(client.client().output()));
  client.client().send_body(upload, "body", false);
  CHECK(client.send_raw(client.client().output()));
  client.client().send_trailers(upload, {{"x-sum", "4"}});
  CHECK(client.run_until([&] { return client.client().answer(upload).complete; }));
  CHECK(client.client().answer(upload).body == "4");
  CHECK(server.status().at("totals").at("http2").at("requests") == 3);
}

TEST_CASE("early hints are sent over HTTP/2 only where they are turned on", "[https][http2]") {
  const TlsFiles files;
  ServerOptions options = files.options();
  options.app = app_path("apps/messages");
  const ServerProcess server(std::move(options));
  const ProgramResult hinted = curl_https(server, files, "/hinted", {"-D", "-"});
  CHECK(hinted.out.starts_with("HTTP/2 200"));
  CHECK(hinted.out.find("HTTP/2 103") == std::string::npos);
}
