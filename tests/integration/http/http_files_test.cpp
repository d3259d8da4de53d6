// Files over real sockets: what is sent with sendfile, and to clients that are slow.
#include <poll.h>
#include <sys/socket.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

std::string numbers(std::size_t size) {
  std::string text;
  for (int i = 0; text.size() < size; ++i) text += std::to_string(i) + "\n";
  text.resize(size);
  return text;
}

class FilesServer {
 public:
  explicit FilesServer(std::vector<std::string> arguments = {})
      : server_({.app = app_path("apps/files"),
                 .workers = 1,
                 .arguments = std::move(arguments),
                 .environment = {{"FILES_FOLDER", folder_.path()}, kSmallQuarantine.front()}}) {}
  [[nodiscard]] const Address& address() const { return server_.address(); }
  [[nodiscard]] std::string file(std::string_view name) const { return folder_ / name; }
  [[nodiscard]] std::uint64_t memory() const { return peak_memory(server_.worker_pids().at(0)); }
  [[nodiscard]] std::size_t in_flight() const { return server_.worker(0).at("in_flight").get<std::size_t>(); }

 private:
  TempDir folder_;
  ServerProcess server_;
};

// What can be read of a gzip stream that may not have ended.
std::string gunzip(const std::string& bytes) {
  z_stream stream{};
  inflateInit2(&stream, 15 + 16);
  std::array<char, 4096> text{};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = text.size();
  inflate(&stream, Z_SYNC_FLUSH);
  inflateEnd(&stream);
  return {text.data(), text.size() - stream.avail_out};
}

}  // namespace

TEST_CASE("files of every size arrive whole, one after the other on one connection", "[files]") {
  const FilesServer server;
  HttpConnection connection(server.address());
  for (const std::size_t size :
       {0UL, 1UL, 1024UL, 16UL << 10, (16UL << 10) + 1, 32UL << 10, (32UL << 10) + 1, 1UL << 20, 20UL << 20}) {
    INFO(size);
    const std::string name = std::to_string(size) + ".txt";
    const std::string content = numbers(size);
    write_file(server.file(name), content);
    for (int i = 0; i < 2; ++i) {  // opened, from the cache
      const HttpResponse response = connection.get("/files/" + name);
      CHECK(response.status == 200);
      CHECK(response.header("Content-Length") == std::to_string(size));
      CHECK((response.body == content));  // not shown when it fails
    }
    CHECK(connection.request("HEAD", "/files/" + name).header("Content-Length") == std::to_string(size));
  }
}

TEST_CASE("pipelined requests for files are answered in order", "[files]") {
  const FilesServer server;
  write_file(server.file("small.txt"), "small");
  write_file(server.file("large.txt"), numbers(3 << 20));
  HttpConnection connection(server.address());
  std::string requests;
  for (const char* name : {"large", "small", "large", "small", "small"}) {
    requests += std::string("GET /files/") + name + ".txt HTTP/1.1\r\nHost: a\r\n\r\n";
  }
  connection.send_raw(requests);
  for (const std::size_t size : {3UL << 20, 5UL, 3UL << 20, 5UL, 5UL}) {
    CHECK(connection.read_response().body.size() == size);
  }
}

TEST_CASE("a slow reader of a large file, or of many ranges of it, does not fill the worker's memory", "[files]") {
  const FilesServer server;
  const std::string content = numbers(64 << 20);
  write_file(server.file("large.txt"), content);
  const std::uint64_t before = server.memory();
  HttpConnection whole(server.address(), 60s);
  whole.send_raw("GET /files/large.txt HTTP/1.1\r\nHost: a\r\n\r\n");
  HttpConnection ranges(server.address(), 60s);
  ranges.send_raw("GET /files/large.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=0-40000000,40000002-\r\n\r\n");
  REQUIRE(whole.readable_within(5s));
  REQUIRE(ranges.readable_within(5s));
  for (int i = 0; i < 20; ++i)
    CHECK(get(server.address(), "/files/none").status == 404);  // others are served meanwhile
  CHECK((whole.read_response().body == content));
  const HttpResponse parts = ranges.read_response();
  CHECK(parts.status == 206);
  CHECK(parts.body.size() > content.size());
  CHECK(parts.body.size() < content.size() + 1000);
  CHECK(server.memory() < before + (16U << 20));
}

TEST_CASE("many pipelined requests for a small file do not fill the worker's memory", "[files]") {
  const FilesServer server;
  write_file(server.file("small.txt"), numbers(16 << 10));
  const std::uint64_t before = server.memory();
  HttpConnection connection(server.address(), 30s);
  std::string requests;
  for (int i = 0; i < 900; ++i) requests += "GET /files/small.txt HTTP/1.1\r\nHost: a\r\n\r\n";
  connection.send_raw(requests);
  for (int i = 0; i < 900; ++i) REQUIRE(connection.read_response().body.size() == 16U << 10);
  CHECK(server.memory() < before + (16U << 20));
}

TEST_CASE("a client that disconnects in the middle of a large file leaks nothing", "[files]") {
  const FilesServer server;
  write_file(server.file("large.txt"), numbers(64 << 20));
  for (int i = 0; i < 10; ++i) {
    HttpConnection connection(server.address());
    connection.send_raw("GET /files/large.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    REQUIRE(connection.readable_within(5s));
    connection.abort();
  }
  CHECK(eventually(5s, [&] { return server.in_flight() == 1; }));  // the question itself
}

TEST_CASE("a compressed stream sends what is written at once", "[compression]") {
  const FilesServer server;
  HttpConnection connection(server.address());
  connection.send_raw("GET /compressed/ticks HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
  std::string received;
  CHECK(eventually(5s, [&] {
    received += connection.read_rest(20ms);
    const std::size_t body = received.find("\r\n\r\n");
    if (body == std::string::npos) return false;
    std::string bytes;  // of the chunks
    for (std::size_t at = body + 4; at < received.size();) {
      const std::size_t line = received.find("\r\n", at);
      if (line == std::string::npos) break;
      const std::size_t size = std::stoul(received.substr(at, line - at), nullptr, 16);
      bytes += received.substr(line + 2, size);
      at = line + 2 + size + 2;
    }
    return gunzip(bytes) == "tick 0\ntick 1\n";
  }));
  connection.abort();  // or the server would wait for the stream when it stops
}

TEST_CASE("a slow reader of a compressed stream holds it back", "[compression]") {
  const FilesServer server;
  const std::uint64_t before = server.memory();
  HttpConnection connection(server.address());
  connection.send_raw("GET /compressed/endless HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n");
  REQUIRE(connection.readable_within(5s));
  for (int i = 0; i < 50; ++i) CHECK(get(server.address(), "/files/none").status == 404);
  CHECK(server.memory() < before + (24U << 20));
}

// The server used to close as soon as the kernel had the response. The requests that kept coming reset the connection,
// and what was still in the kernel's buffer was lost.
TEST_CASE("the last response of a connection arrives whole for a client that keeps sending requests", "[http]") {
  const FilesServer server({"--keep-alive-requests", "2"});
  const std::string content = numbers(3'000'000);
  write_file(server.file("large"), content);
  write_file(server.file("small"), "small");
  HttpConnection connection(server.address());
  const std::string small = "GET /files/small HTTP/1.1\r\nHost: a\r\n\r\n";
  connection.send_raw(small + "GET /files/large HTTP/1.1\r\nHost: a\r\n\r\n");
  std::string received;
  std::string bytes(16 * 1024, '\0');
  for (ssize_t size = 1; size > 0;
       received.append(bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)))) {
    connection.send_raw(small);
    if (!connection.readable_within(10s)) break;
    size = ::recv(connection.fd(), bytes.data(), bytes.size(), 0);
  }
  CHECK(received.find("Connection: close\r\n") != std::string::npos);
  CHECK(received.size() > content.size());
  CHECK(received.ends_with(content.substr(content.size() - 1000)));
}

// Progress used to be what the kernel took: with a full buffer it takes nothing for longer than write_timeout, however
// steadily the client reads.
TEST_CASE("a slow but steady download is not ended by write_timeout", "[http]") {
  const FilesServer server({"--write-timeout", "500ms"});
  constexpr std::size_t kSize = 12'000'000;
  write_file(server.file("large"), std::string(kSize, 'a'));
  HttpConnection connection(server.address());
  connection.send_raw("GET /files/large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  std::string bytes(64 * 1024, '\0');
  std::size_t received = 0;
  for (ssize_t size = 1; size > 0; received += static_cast<std::size_t>(std::max<ssize_t>(size, 0))) {
    ::poll(nullptr, 0, 20);  // at most 3 MB/s
    size = ::recv(connection.fd(), bytes.data(), bytes.size(), 0);
  }
  CHECK(received > kSize);
}
