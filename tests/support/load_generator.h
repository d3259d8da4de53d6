// Clients that keep asking while something happens to the server.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/http_client.h"

namespace pronghorn::test {

struct LoadReport {
  std::uint64_t succeeded = 0;                    // answered 200
  std::map<std::string, std::uint64_t> failures;  // by kind: "status 503", "reset", "closed before the response" …
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

// Starts with the constructor. A kept-alive connection is opened anew when the server has announced (Connection: close)
// or done the closing; a request whose connection was closed is counted as failed, not sent again.
class LoadGenerator {
 public:
  LoadGenerator(Address address, LoadOptions options = {});
  LoadGenerator(const LoadGenerator&) = delete;
  LoadGenerator& operator=(const LoadGenerator&) = delete;
  ~LoadGenerator() { stop(); }

  // Ends the clients after their current request. Called again: the same report.
  LoadReport stop();
  // So far.
  [[nodiscard]] std::uint64_t succeeded() const noexcept { return succeeded_.load(); }
  // Until `count` more requests have been answered; false: not within `deadline`.
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
