// Clients that send requests continuously while a test does something to the server.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/clients/http_client.h"

namespace pronghorn::test {

struct LoadReport {
  std::uint64_t succeeded = 0;                    // answered 200
  std::map<std::string, std::uint64_t> failures;  // by kind: "status 503", "reset", "closed before the response"
  std::chrono::milliseconds slowest{};            // response

  [[nodiscard]] std::uint64_t failed() const;
  [[nodiscard]] std::uint64_t count(const std::string& kind) const;
  [[nodiscard]] std::string text() const;  // "1234 answered, 2 failed (2 reset), slowest 12 ms"
};

struct LoadOptions {
  std::string target = "/hello";
  int threads = 4;
  bool keep_alive = true;  // false: a new connection for each request
  std::chrono::milliseconds timeout = 10s;
  std::chrono::milliseconds pause{};  // between two requests of a thread
};

// The constructor starts the clients. A client reconnects after `Connection: close` or when the server has closed its
// connection. A request whose connection was closed counts as failed and is not repeated.
class LoadGenerator {
 public:
  LoadGenerator(Address address, LoadOptions options = {});
  LoadGenerator(const LoadGenerator&) = delete;
  LoadGenerator& operator=(const LoadGenerator&) = delete;
  ~LoadGenerator() { stop(); }

  // Stops the clients after their current request. Calling it again returns the same report.
  LoadReport stop();
  // Requests answered with 200 so far.
  [[nodiscard]] std::uint64_t succeeded() const noexcept { return succeeded_.load(); }
  // Waits until `count` more requests are answered. False if `deadline` passes first.
  [[nodiscard]] bool wait_for(std::uint64_t count, std::chrono::milliseconds deadline = 10s) const;

 private:
  void run();
  void record_failure(const std::string& kind);

  Address address_;
  LoadOptions options_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> succeeded_{0};
  std::mutex mutex_;
  LoadReport report_;
  std::vector<std::thread> threads_;
};

}  // namespace pronghorn::test
