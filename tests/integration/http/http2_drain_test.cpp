// Workers that leave while clients speak HTTP/2: reload, scaling and stopping fail no request.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.h"
#include "support/clients/http2/http2_socket.h"
#include "support/processes/server_process.h"

using namespace pronghorn::test;

namespace {

// Clients that keep some requests in flight on one connection each. When the server sends GOAWAY they begin new
// requests on another connection, as RFC 9113 section 6.8 says; those that the GOAWAY excludes are sent again there.
class Http2Load {
 public:
  Http2Load(Address address, std::string path, int clients) : address_(std::move(address)), path_(std::move(path)) {
    for (int i = 0; i < clients; ++i) threads_.emplace_back([this] { run(); });
  }
  Http2Load(const Http2Load&) = delete;
  Http2Load& operator=(const Http2Load&) = delete;
  ~Http2Load() { stop(); }

  void stop() {
    stopping_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  [[nodiscard]] std::uint64_t answered() const noexcept { return answered_; }
  [[nodiscard]] std::uint64_t connections() const noexcept { return connections_; }
  [[nodiscard]] std::map<std::string, int> failures() {
    const std::scoped_lock lock(mutex_);
    return failures_;
  }
  [[nodiscard]] bool wait_for(std::uint64_t more) const {
    const std::uint64_t before = answered_;
    return eventually(20s, [&] { return answered_ >= before + more; });
  }

 private:
  static constexpr std::size_t kInFlight = 10;

  void failed(const std::string& kind) {
    const std::scoped_lock lock(mutex_);
    ++failures_[kind];
  }

  void run() {
    while (!stopping_) {
      try {
        Http2Socket socket(address_);
        ++connections_;
        serve(socket);
      } catch (const std::exception& error) {
        failed(error.what());
      }
    }
  }

  // Until the connection ends. Every request must be answered, or be one that GOAWAY excludes.
  void serve(Http2Socket& socket) {
    std::vector<std::int32_t> open;
    while (true) {
      const bool last = stopping_ || !socket.client().goaways().empty();
      while (!last && open.size() < kInFlight) open.push_back(socket.client().request("GET", path_));
      if (open.empty()) return;
      const auto some_ended = [&] {
        return std::ranges::any_of(open, [&](std::int32_t id) { return ended(socket, id); });
      };
      if (!socket.run_until(some_ended)) {
        for (const std::int32_t id : open) {
          if (!excluded(socket, id)) failed(socket.ended() ? "closed" : "not answered");
        }
        return;
      }
      std::erase_if(open, [&](std::int32_t id) { return ended(socket, id) && settle(socket, id); });
    }
  }

  static bool excluded(Http2Socket& socket, std::int32_t id) {
    const auto& goaways = socket.client().goaways();
    return !goaways.empty() && id > goaways.back().last_stream;
  }
  static bool ended(Http2Socket& socket, std::int32_t id) {
    return socket.client().answer(id).closed || excluded(socket, id);
  }
  bool settle(Http2Socket& socket, std::int32_t id) {
    const Http2Answer& answer = socket.client().answer(id);
    if (answer.complete && answer.status == 200) {
      ++answered_;
    } else if (!excluded(socket, id)) {
      failed(answer.complete ? "status " + std::to_string(answer.status) : "reset " + std::to_string(answer.error));
    }
    return true;
  }

  Address address_;
  std::string path_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> answered_{0};
  std::atomic<std::uint64_t> connections_{0};
  std::mutex mutex_;
  std::map<std::string, int> failures_;
  std::vector<std::thread> threads_;
};

ServerOptions two_workers() {
  return {.workers = 2, .arguments = {"--http2-cleartext", "true", "--keep-alive-requests", "500"}};
}

}  // namespace

TEST_CASE("a reload under HTTP/2 load fails no request", "[http2][reload][load]") {
  const ServerProcess server(two_workers());
  Http2Load quick(server.address(), "/hello", 3);
  Http2Load slow(server.address(), "/slow?ms=100", 2);
  REQUIRE(quick.wait_for(100));
  for (int i = 0; i < 2; ++i) {
    CHECK(server.control_command({"reload", "--wait"}).status == 0);
    CHECK(quick.wait_for(100));
    CHECK(slow.wait_for(10));
  }
  quick.stop();
  slow.stop();
  CHECK(quick.failures().empty());
  CHECK(slow.failures().empty());
  CHECK(quick.connections() > 3);  // those of the workers that left, and after 500 requests
}

TEST_CASE("scaling under HTTP/2 load fails no request", "[http2][scale][load]") {
  const ServerProcess server(two_workers());
  Http2Load load(server.address(), "/slow?ms=20", 4);
  REQUIRE(load.wait_for(50));
  for (const char* workers : {"1", "3", "1"}) {
    CHECK(server.control_command({"scale", workers}).status == 0);
    CHECK(server.wait_ready(std::stoi(workers)));
    CHECK(load.wait_for(50));
  }
  load.stop();
  CHECK(load.failures().empty());
}

TEST_CASE("requests over HTTP/2 that run when the server stops are answered", "[http2][drain]") {
  ServerProcess server({.workers = 1, .arguments = {"--http2-cleartext", "true"}});
  Http2Socket client(server.address());
  Http2Socket idle(server.address());
  CHECK(idle.ask("GET", "/hello").status == 200);
  const std::int32_t stream = client.client().request("GET", "/slow?ms=1500");
  CHECK(client.run_until([&] { return !client.client().settings().empty(); }));
  REQUIRE(eventually(10s, [&] { return server.status().at("totals").at("in_flight") >= 2; }));
  server.signal(SIGTERM);
  CHECK(client.run_until([&] { return client.client().answer(stream).closed; }));
  CHECK(client.client().answer(stream).status == 200);
  CHECK_FALSE(client.client().goaways().empty());
  CHECK(idle.run_until([&] { return !idle.client().goaways().empty(); }));
  CHECK(idle.client().goaways().back().error == NGHTTP2_NO_ERROR);
  CHECK(server.wait_exit(20s));
}
