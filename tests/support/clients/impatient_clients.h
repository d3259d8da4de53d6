// Clients that come at a fixed rate, whether or not earlier ones have been answered, and give up after a while: what
// overloads a server. For tests and for ./scripts/bench.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace pronghorn::test {

struct ImpatientOptions {
  std::uint16_t port = 0;  // of 127.0.0.1
  std::string target = "/hello";
  double rate = 100;  // requests a second
  std::chrono::milliseconds duration{1000};
  std::chrono::milliseconds patience{500};  // a client that has waited for so long closes its connection
};

struct ImpatientReport {
  std::size_t sent = 0;
  std::size_t refused = 0;           // answered 503
  std::size_t gave_up = 0;           // not answered in time
  std::size_t failed = 0;            // another status, or the connection was closed
  std::vector<double> milliseconds;  // of requests answered 200, from their scheduled time, ascending
  struct Served {
    double at_ms;  // its scheduled time, from the beginning
    double latency_ms;
  };
  std::vector<Served> timeline;  // of the same requests, in the order of their answers

  [[nodiscard]] std::size_t served() const noexcept { return milliseconds.size(); }
  // Of the latencies; 0 if there are none.
  [[nodiscard]] double percentile(double percent) const noexcept;
};

// Sends for `duration` and waits for the last answers. Connections are kept and used again; there are as many as
// requests wait at once. Throws std::runtime_error if the system refuses a socket.
[[nodiscard]] ImpatientReport run_impatient_clients(const ImpatientOptions& options);

}  // namespace pronghorn::test
