// Bodies over real sockets: clients that disconnect, read slowly, or are disconnected during a stream.
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <thread>

#include "support/catch.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

ServerOptions streams_app(std::vector<std::string> arguments = {}) {
  return {.app = app_path("apps/streams"), .workers = 1, .arguments = std::move(arguments)};
}

HttpConnection begin(const ServerProcess& server, const std::string& target) {
  HttpConnection connection(server.address());
  connection.send_raw("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(connection.readable_within(5s));
  return connection;
}

int running(const ServerProcess& server) { return get(server.address(), "/facts").json().at("running"); }

// What a flood had sent when it stopped making progress.
std::uint64_t written_when_stalled(const ServerProcess& server) {
  std::uint64_t before = 0;
  REQUIRE(eventually(10s, [&] {
    const std::uint64_t now = get(server.address(), "/facts").json().at("written");
    const bool stalled = now > 0 && now == before;
    before = now;
    if (!stalled) ::poll(nullptr, 0, 200);
    return stalled;
  }));
  return before;
}

constexpr std::uint64_t kMuch = 32U << 20;  // more than all buffers between two sockets

}  // namespace

TEST_CASE("the producer of a stream is destroyed when its client disconnects, also while it writes nothing",
          "[streams]") {
  const ServerProcess server(streams_app());
  for (const std::string target : {"/silent", "/flood", "/ticks", "/flood-events", "/silent-events"}) {
    CAPTURE(target);
    {
      // Takes what has come, so that it leaves with the end of the file and not with a reset.
      HttpConnection leaves = begin(server, target);
      leaves.read_rest(50ms);
    }
    CHECK(eventually(10s, [&] { return running(server) == 0; }));
    HttpConnection resets = begin(server, target);
    resets.abort();
    CHECK(eventually(10s, [&] { return running(server) == 0; }));
  }
}

TEST_CASE("a client that has only shut its sending side down gets the whole stream", "[streams]") {
  const ServerProcess server({.workers = 1});
  HttpConnection half(server.address());
  half.send_raw("GET /stream?n=16&ms=200 HTTP/1.1\r\nHost: a\r\n\r\n");
  half.finish_sending();
  CHECK(half.read_response().body.ends_with("line 16\n"));
}

// The end of the connection is the end of the body for HTTP/1.0, so a part would look like the whole.
TEST_CASE("a stream that fails resets a client that gets no chunks", "[streams]") {
  const ServerProcess server(streams_app());
  HttpConnection old(server.address());
  old.send_raw("GET /fails HTTP/1.0\r\n\r\n");
  std::string bytes(1 << 16, '\0');
  ssize_t size = 1;
  int error = 0;
  while (size > 0) {
    REQUIRE(old.readable_within(5s));  // the socket does not block
    size = ::recv(old.fd(), bytes.data(), bytes.size(), 0);
    error = size < 0 ? errno : 0;
  }
  CHECK(error == ECONNRESET);
}

TEST_CASE("a client that reads as fast as a producer writes does not monopolise the worker", "[streams]") {
  const ServerProcess server(streams_app());
  HttpConnection fast = begin(server, "/flood");
  std::atomic<bool> stop = false;
  std::thread reader([&] {
    std::string taken(1 << 20, '\0');
    while (!stop && ::recv(fast.fd(), taken.data(), taken.size(), 0) > 0) {
    }
  });
  for (int i = 0; i < 20; ++i) CHECK(get(server.address(), "/facts").status == 200);
  stop = true;
  reader.join();
}

TEST_CASE("a client that does not read holds the producer back", "[streams]") {
  const ServerProcess server(streams_app());
  for (const std::string target : {"/flood", "/flood-twice", "/flood-events"}) {
    CAPTURE(target);
    const auto before = get(server.address(), "/facts").json().at("written").get<std::uint64_t>();
    HttpConnection slow = begin(server, target);
    const std::uint64_t stalled = written_when_stalled(server);
    CHECK(stalled - before < kMuch);
    // It continues when the client reads; with two branches, both do.
    std::string taken(1 << 20, '\0');
    REQUIRE(eventually(20s, [&] {
      while (::recv(slow.fd(), taken.data(), taken.size(), MSG_DONTWAIT) > 0) {
      }
      return get(server.address(), "/facts").json().at("written") > stalled + kMuch;
    }));
    slow.abort();
    CHECK(eventually(10s, [&] { return running(server) == 0; }));
  }
}

TEST_CASE("a client that reads nothing of a stream for write_timeout is disconnected", "[streams]") {
  const ServerProcess server(streams_app({"--write-timeout", "500ms"}));
  const HttpConnection stuck = begin(server, "/flood-events");
  CHECK(eventually(10s, [&] { return running(server) == 0; }));
}

TEST_CASE("a form that a handler does not read holds the client back", "[streams]") {
  const ServerProcess server(streams_app());
  HttpConnection client(server.address(), 30s);
  const std::string head = "--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n";
  const std::string end = "\r\n--XX--\r\n";
  client.send_raw(
      "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=XX\r\nContent-Length: " +
      std::to_string(head.size() + kMuch + end.size()) + "\r\n\r\n" + head);
  const std::string content(kMuch, '-');
  std::size_t sent = 0;
  pollfd room{.fd = client.fd(), .events = POLLOUT, .revents = 0};
  while (sent < content.size() && ::poll(&room, 1, 500) == 1) {
    const ssize_t size = ::send(client.fd(), content.data() + sent, content.size() - sent, MSG_DONTWAIT);
    if (size > 0) sent += static_cast<std::size_t>(size);
  }
  CHECK(sent < content.size());
  CHECK(post(server.address(), "/release").status == 204);
  client.send_raw(std::string_view(content).substr(sent));
  client.send_raw(end);
  CHECK(client.read_response().json() == nlohmann::json{{"name", "f"}, {"size", kMuch}});
}

TEST_CASE("a silent stream of events is kept open by comments", "[streams][events]") {
  const ServerProcess server(streams_app());
  HttpConnection listener = begin(server, "/heartbeats");
  const std::string two_beats = "\r\n3\r\n:\n\n\r\n3\r\n:\n\n\r\n";
  CHECK(listener.read_until(two_beats).find(two_beats) != std::string::npos);
}

TEST_CASE("a stop ends streams of events cleanly and at once", "[streams][events]") {
  ServerProcess server(streams_app({"--drain-timeout", "10m"}));
  HttpConnection listener = begin(server, "/ticks");
  HttpConnection silent = begin(server, "/silent-events");
  server.signal(SIGTERM);
  const HttpResponse events = listener.read_response();  // throws when the last chunk is missing
  CHECK(events.status == 200);
  CHECK(events.body.starts_with("id: 1\nevent: tick\ndata: 1\n\n"));
  CHECK(events.body.ends_with("\n\n"));
  CHECK(silent.read_response().body.empty());
  CHECK(server.wait_exit(20s) == ExitStatus{.code = 0, .signal = 0});
}

TEST_CASE("a stream of events that begins while the worker drains ends at once", "[streams][events]") {
  ServerProcess server(streams_app());
  HttpConnection holds_the_drain = begin(server, "/silent");
  server.signal(SIGTERM);
  REQUIRE(eventually(5s, [&server] { return server.log_has("stopping"); }));
  HttpResponse late;
  REQUIRE(eventually(5s, [&] {
    late = get(server.address(), "/facts");
    return late.header("Connection") == "close";
  }));
  late = HttpConnection(server.address(), 2s).get("/ticks");
  CHECK(late.status == 200);
  CHECK(late.chunked);
  CHECK(late.body.empty());
  holds_the_drain.abort();
  CHECK(server.wait_exit(10s).has_value());
}

TEST_CASE("a reload moves listeners to the new worker, where they go on after the last event", "[streams][events]") {
  ServerProcess server(streams_app());
  HttpConnection listener = begin(server, "/ticks");
  CHECK(server.control_command({"reload"}).status == 0);
  listener.set_timeout(20s);
  const std::string body = listener.read_response().body;
  const std::size_t last = body.rfind("id: ");
  REQUIRE(last != std::string::npos);
  const int seen = std::stoi(body.substr(last + 4));
  HttpConnection again(server.address());
  again.send_raw("GET /ticks HTTP/1.1\r\nHost: a\r\nLast-Event-ID: " + std::to_string(seen) + "\r\n\r\n");
  const std::string next = "id: " + std::to_string(seen + 1) + "\n";
  CHECK(again.read_until(next).find(next) != std::string::npos);
}

TEST_CASE("a kept connection whose stream ends during the drain does not delay it", "[streams]") {
  ServerProcess server({.workers = 1});
  HttpConnection kept(server.address());
  kept.send_raw("GET /stream?n=3&ms=300 HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(kept.readable_within(5s));
  server.signal(SIGTERM);
  CHECK(kept.read_response().body.ends_with("line 3\n"));
  CHECK(server.wait_exit(5s) == ExitStatus{.code = 0, .signal = 0});
}
