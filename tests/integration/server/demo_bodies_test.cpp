// Bodies that are streamed, in both directions, and requests that wait.
#include <cstdio>
#include <vector>

#include "support/catch.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

// Computed by another implementation than Pronghorn's.
std::string sha256_of_file(const std::string& path) { return run_program({"sha256sum", path}).out.substr(0, 64); }

std::string in_chunks(const std::string& body, std::size_t size) {
  std::string chunks;
  for (std::size_t at = 0; at < body.size(); at += size) {
    const std::string piece = body.substr(at, size);
    char head[32];
    chunks.append(head, static_cast<std::size_t>(std::snprintf(head, sizeof head, "%zx\r\n", piece.size())));
    chunks += piece + "\r\n";
  }
  return chunks + "0\r\n\r\n";
}

std::string megabytes(std::size_t count) {
  std::string bytes(count << 20, '\0');
  std::uint32_t state = 1;
  for (char& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

}  // namespace

TEST_CASE("an upload of several MiB is answered with its size and SHA-256", "[demo]") {
  const ServerProcess server({.workers = 1});
  const std::string body = megabytes(5);
  write_file(server.file("body"), body);
  const nlohmann::json expected{{"size", body.size()}, {"sha256", sha256_of_file(server.file("body"))}};

  HttpConnection connection(server.address());
  CHECK(connection.request("POST", "/upload", {}, body).json() == expected);
  connection.send_raw("POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
                      in_chunks(body, 70'001));
  CHECK(connection.read_response().json() == expected);
  connection.send_raw("POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + in_chunks(body, 100));
  CHECK(connection.read_response().json() == expected);
}

TEST_CASE("uploads do not fill the worker's memory", "[demo]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  const std::string megabyte(1 << 20, 'a');
  connection.send_raw("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(200U << 20) + "\r\n\r\n");
  for (int i = 0; i < 200; ++i) connection.send_raw(megabyte);
  CHECK(connection.read_response().json().at("size") == 200U << 20);
  CHECK(peak_memory(server.worker_pids().at(0)) < 400U << 20);
}

TEST_CASE("a form with a file of several MiB is answered with a description of its parts", "[demo]") {
  const ServerProcess server({.workers = 1});
  const std::string content = megabytes(5);
  write_file(server.file("content"), content);
  const std::string sha256 = sha256_of_file(server.file("content"));
  const std::string body =
      "--XX\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nMy file\r\n"
      "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../a b.bin\"\r\n"
      "Content-Type: application/octet-stream\r\n\r\n" +
      content + "\r\n--XX--\r\n";
  const std::string head =
      "POST /attachments HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=XX\r\n";

  HttpConnection connection(server.address());
  connection.send_raw(head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n");
  for (std::size_t at = 0; at < body.size(); at += 99'991) connection.send_raw(body.substr(at, 99'991));
  const nlohmann::json parts = connection.read_response().json().at("parts");
  REQUIRE(parts.size() == 2);
  CHECK(parts[0].at("name") == "title");
  CHECK(parts[0].at("size") == 7);
  CHECK(parts[1] ==
        nlohmann::json{{"name", "file"}, {"filename", "../a b.bin"}, {"size", content.size()}, {"sha256", sha256}});

  connection.send_raw(head + "Transfer-Encoding: chunked\r\n\r\n" + in_chunks(body, 1009));
  CHECK(connection.read_response().json().at("parts") == parts);
  CHECK(connection.request("POST", "/attachments", {{"Content-Type", "multipart/form-data; boundary=XX"}}, "--XX")
            .status == 400);
  CHECK(connection.request("POST", "/attachments", {{"Content-Type", "text/plain"}}, "x").status == 415);
}

TEST_CASE("GET /events continues after the last number that the client received", "[demo]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  connection.send_raw("GET /events?ms=10 HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 41\r\n\r\n");
  const std::string start = connection.read_until("data: 43\n\n");
  CHECK(start.find("Content-Type: text/event-stream\r\n") != std::string::npos);
  CHECK(start.find("id: 42\nevent: tick\ndata: 42\n\n") != std::string::npos);
  CHECK(start.find("data: 43\n\n") != std::string::npos);
}

TEST_CASE("GET /stream sends chunks as they are made", "[demo]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  const HttpResponse lines = connection.get("/stream?n=3");
  CHECK(lines.chunked);
  CHECK(lines.body == "line 1\nline 2\nline 3\n");
  CHECK(connection.get("/stream?n=0").body.empty());

  connection.send_raw("GET /stream?n=2&ms=60000 HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(connection.readable_within(20s));  // the first line does not wait for the second
}

TEST_CASE("a stream to an HTTP/1.0 client ends with the connection", "[demo]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  connection.send_raw("GET /stream?n=3 HTTP/1.0\r\n\r\n");
  const HttpResponse response = connection.read_response();
  CHECK_FALSE(response.has("Transfer-Encoding"));
  CHECK(response.body == "line 1\nline 2\nline 3\n");
}

TEST_CASE("a client that reads slowly gets everything and does not fill the worker's memory", "[demo]") {
  const ServerProcess server({.workers = 1});
  HttpConnection slow(server.address(), 20s);
  slow.send_raw("GET /stream?n=500000 HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(slow.readable_within(5s));
  // Others are served meanwhile, although the stream waits for its reader.
  for (int i = 0; i < 50; ++i) CHECK(get(server.address(), "/hello").status == 200);
  CHECK(peak_memory(server.worker_pids().at(0)) < 400U << 20);
  const HttpResponse all = slow.read_response();
  CHECK(all.body.ends_with("line 500000\n"));
}

TEST_CASE("a worker that waits in one request serves others", "[demo]") {
  const ServerProcess server({.workers = 1});
  std::vector<HttpConnection> waiting;
  for (int i = 0; i < 20; ++i) {
    waiting.emplace_back(server.address()).send_raw("GET /slow?ms=600000 HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  CHECK(eventually(10s, [&] { return server.worker(0).at("in_flight") >= 20; }));  // all of them at once
  const auto begin = Clock::now();
  CHECK(get(server.address(), "/slow?ms=100").json() == nlohmann::json{{"waited_ms", 100}});
  CHECK(Clock::now() - begin >= 100ms);
  for (HttpConnection& connection : waiting) CHECK_FALSE(connection.readable_within(0ms));
}

TEST_CASE("GET /download returns the requested number of bytes, with their length", "[demo]") {
  const ServerProcess server({.workers = 1});
  HttpConnection connection(server.address());
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{252}, std::size_t{3'000'000}}) {
    std::string expected(size, '\0');
    for (std::size_t i = 0; i < size; ++i) expected[i] = static_cast<char>(i % 251);
    const HttpResponse response = connection.get("/download?bytes=" + std::to_string(size));
    CHECK(response.status == 200);
    CHECK_FALSE(response.chunked);
    CHECK(response.header("Content-Length") == std::to_string(size));
    CHECK(response.body == expected);
  }
  CHECK(connection.get("/download?bytes=99999999999").status == 400);
}

TEST_CASE("GET /burn uses the CPU for the requested time", "[demo]") {
  const ServerProcess server({.workers = 1});
  const auto begin = Clock::now();
  CHECK(get(server.address(), "/burn?ms=50").json() == nlohmann::json{{"burnt_ms", 50}});
  CHECK(Clock::now() - begin >= 50ms);
  CHECK(get(server.address(), "/burn").json() == nlohmann::json{{"burnt_ms", 2}});
}
