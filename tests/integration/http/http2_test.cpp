// HTTP/2 by prior knowledge over real sockets.
#include <signal.h>

#include <fstream>
#include <string>
#include <vector>

#include "framing/http2_cases.h"
#include "support/catch.h"
#include "support/clients/http2/http2_socket.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

ServerOptions cleartext(std::vector<std::string> more = {}) {
  std::vector<std::string> arguments{"--http2-cleartext", "true"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return {.workers = 1, .arguments = std::move(arguments)};
}

std::uint64_t limit_hits(const ServerProcess& server, const char* limit) {
  return server.status().at("totals").at("limits").at(limit);
}

}  // namespace

TEST_CASE("HTTP/2 and HTTP/1.1 are served on the same listener", "[http2]") {
  const ServerProcess server(cleartext());
  Http2Socket client(server.address());
  const Http2Answer answer = client.ask("GET", "/hello");
  CHECK(answer.status == 200);
  CHECK(answer.body == "Hello, World!");
  CHECK(get(server.address(), "/hello").status == 200);
  const auto totals = server.status().at("totals");
  CHECK(totals.at("http2").at("requests") == 1);
  CHECK(totals.at("http2").at("connections") == 1);
}

TEST_CASE("without http2_cleartext the preface of HTTP/2 is refused", "[http2]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  connection.send_raw(http2_preface());
  CHECK(connection.read_response().status == 505);
}

TEST_CASE("requests over HTTP/2 are accepted, refused or reset as RFC 9113 says", "[http2][framing]") {
  const ServerProcess server(cleartext());
  for (const Http2RequestCase& request : http2_request_cases()) {
    CAPTURE(request.name);
    Http2Socket client(server.address());
    const std::int32_t stream = client.client().raw_request(request.fields, request.body);
    client.run_until([&] { return client.client().answer(stream).closed; });
    const Http2Answer& answer = client.client().answer(stream);
    CHECK(answer.status == request.status);
    CHECK(answer.complete == (request.status != 0));
    if (request.status == 0) CHECK(answer.error == request.error);
    if (request.response != "*") CHECK(answer.body == request.response);
    CHECK(client.ask("GET", "/json").status == 200);  // the connection goes on
  }
}

TEST_CASE("frames that RFC 9113 forbids do not stop the server", "[http2][framing]") {
  const ServerProcess server(cleartext());
  for (const Http2FrameCase& frames : http2_frame_cases()) {
    CAPTURE(frames.name);
    HttpConnection connection(server.address());
    connection.send_raw(http2_preface() + frames.bytes);
    if (frames.ends == Http2FrameCase::Ends::connection) {
      // The first byte of GOAWAY's type and then the end of the connection.
      static_cast<void>(connection.read_rest(10s));
      CHECK(connection.closed_within(10s));
    }
  }
  Http2Socket client(server.address());
  CHECK(client.ask("GET", "/hello").status == 200);
}

TEST_CASE("a gigabyte's worth of uploads over HTTP/2 needs little memory", "[http2]") {
  const ServerProcess server(cleartext());
  Http2Socket client(server.address());
  const std::string body(4 << 20, 'x');
  for (int i = 0; i < 4; ++i) {
    const Http2Answer answer = client.ask("POST", "/upload", {}, body);
    CHECK(answer.status == 200);
  }
}

TEST_CASE("events are sent over HTTP/2 as they happen", "[http2]") {
  const ServerProcess server(cleartext());
  Http2Socket client(server.address());
  const std::int32_t stream = client.client().request("GET", "/events");
  CHECK(client.run_until([&] { return client.client().answer(stream).body.find("data:") != std::string::npos; }));
  CHECK_FALSE(client.client().answer(stream).complete);
  client.client().reset(stream);
  CHECK(client.ask("GET", "/hello").status == 200);
  CHECK(eventually(10s, [&] { return server.status().at("totals").at("lost_requests").at("client_left") == 1; }));
}

TEST_CASE("the access log tells requests over HTTP/2 apart", "[http2][log]") {
  const ServerProcess server(cleartext({"--access-log", "access", "--access-log-format", "combined"}));
  Http2Socket client(server.address());
  CHECK(client.ask("GET", "/hello").status == 200);
  CHECK(eventually(
      10s, [&] { return read_file(server.file("access")).find("\"GET /hello HTTP/2.0\" 200") != std::string::npos; }));
}

TEST_CASE("a request over HTTP/2 that kills its worker is reported and quarantined", "[http2][quarantine]") {
  const ServerProcess server(cleartext());
  for (int kill = 0; kill < 2; ++kill) {
    REQUIRE(server.wait_ready(1));
    Http2Socket client(server.address());
    CHECK_FALSE(client.ask("POST", "/crash?how=segv").complete);
    CHECK(eventually(10s, [&] { return server.log_lines("POST /crash").size() > static_cast<std::size_t>(kill); }));
  }
  CHECK(eventually(20s, [&] {
    try {
      Http2Socket client(server.address());
      return client.ask("POST", "/crash?how=segv").status == 503;
    } catch (const std::system_error&) {
      return false;
    }
  }));
}

// CVE-2023-44487, on a real socket: the work of the worker stays small and others are served.
TEST_CASE("rapid resets end the connection and are counted", "[http2][attack]") {
  const ServerProcess server(cleartext({"--max-stream-resets", "20"}));
  Http2Socket client(server.address());
  for (int i = 0; i < 200; ++i) {
    const std::int32_t stream = client.client().request("GET", "/slow?ms=10000");
    static_cast<void>(client.send_raw(client.client().output()));
    client.client().reset(stream);
  }
  CHECK(client.run_until([&] { return !client.client().goaways().empty(); }));
  CHECK(client.client().goaways().back().error == NGHTTP2_ENHANCE_YOUR_CALM);
  CHECK(limit_hits(server, "stream_resets") == 1);
  CHECK(server.log_lines("an HTTP/2 client was disconnected").size() == 1);
  CHECK(get(server.address(), "/hello").status == 200);
}

// A hundred responses of a megabyte for one connection, and the next hundred for the next one, were held for as long as
// their client opened its windows by a few bytes.
TEST_CASE("a client that takes its responses byte by byte is given few of them, and loses them", "[http2][attack]") {
  const ServerProcess server(cleartext({"--write-timeout", "2s", "--header-timeout", "60s"}));
  const pid_t worker = server.worker_pids().front();
  CHECK(get(server.address(), "/download?bytes=1000000").body.size() == 1'000'000);
  const std::uint64_t before = resident_memory(worker);
  Http2Socket client(server.address(), {.window = 0, .reads_bodies = false});
  std::vector<std::int32_t> streams;
  for (int i = 0; i < 100; ++i) streams.push_back(client.client().request("GET", "/download?bytes=1000000"));
  const auto reset = [&] { return client.client().answer(streams.front()).closed; };
  for (int i = 0; i < 600 && !reset(); ++i) {
    client.client().widen(streams.front(), 1);
    client.run_until(reset, 50ms);
  }
  CHECK(client.client().answer(streams.front()).error == NGHTTP2_CANCEL);
  CHECK(resident_memory(worker) < before + (20U << 20));
  CHECK(limit_hits(server, "queued_output") >= 1);
  CHECK(limit_hits(server, "write_time") >= 1);
  CHECK(get(server.address(), "/hello").status == 200);
}

TEST_CASE("curl speaks HTTP/2 to the server", "[http2]") {
  const ServerProcess server(cleartext());
  const std::string url = "http://127.0.0.1:" + std::to_string(server.address().port);
  const ProgramResult hello =
      run_program({"curl", "-sS", "--http2-prior-knowledge", "-w", " %{http_version} %{http_code}", url + "/hello"});
  CHECK(hello.out == "Hello, World! 2 200");
  std::ofstream(server.file("body")) << std::string(3'000'000, 'x');
  const ProgramResult upload =
      run_program({"curl", "-sS", "--http2-prior-knowledge", "-o", "/dev/null", "-w", "%{http_version} %{http_code}",
                   "--data-binary", "@" + server.file("body"), url + "/upload"});
  CHECK(upload.out == "2 200");
}
