// The load of `pronghorn drill`: HEAD requests at a steady rate, over kept connections and new ones.
//
// Context: the thread that created it. Between start() and stop() the load runs in a thread of its own.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "common/histogram.h"

namespace pronghorn::server {

struct DrillTarget {
  sockaddr_storage address{};
  socklen_t address_size = 0;
  std::string request;  // a complete HEAD request
};

struct DrillPlan {
  std::uint32_t rate = 1'000;  // requests per second
  std::uint32_t kept = 64;     // kept connections; one request in ten opens its own
};

struct DrillResults {
  std::uint64_t sent = 0;
  std::uint64_t answered = 0;
  std::uint64_t errors = 0;     // of those, with a status of 500 or more
  std::uint64_t closed = 0;     // lost: the connection ended before the response was complete
  std::uint64_t refused = 0;    // lost: the connection was refused
  std::uint64_t timed_out = 0;  // lost: no answer within kPatience
  std::uint64_t late = 0;       // not sent, because every kept connection was waiting for an answer
  Histogram<4, std::uint64_t>::Sum latency;
  [[nodiscard]] std::uint64_t lost() const noexcept { return closed + refused + timed_out; }
};

class DrillLoad {
 public:
  static constexpr std::chrono::seconds kPatience{5};

  // Throws std::system_error if no epoll descriptor can be created.
  DrillLoad(DrillTarget target, DrillPlan plan);
  DrillLoad(const DrillLoad&) = delete;
  DrillLoad& operator=(const DrillLoad&) = delete;
  ~DrillLoad();

  void start();
  // Waits for outstanding responses. start() must not be called again.
  [[nodiscard]] DrillResults stop();

 private:
  using Clock = std::chrono::steady_clock;
  struct Connection {
    int fd = -1;
    bool kept = false;
    bool waiting = false;  // for a response
    bool sent = false;     // the request was sent
    Clock::time_point asked{};
    std::string answer;
  };

  void run();
  void issue_due(Clock::time_point now);
  void ask(Connection& connection, Clock::time_point now);
  [[nodiscard]] bool open(Connection& connection);
  void close(Connection& connection);
  void on_event(Connection& connection, std::uint32_t events);
  void send_request(Connection& connection);
  void receive(Connection& connection);
  void answered(Connection& connection);
  void lose(Connection& connection, std::uint64_t& kind);
  void expire(Clock::time_point now);
  [[nodiscard]] Connection& new_connection();

  DrillTarget target_;
  DrillPlan plan_;
  int epoll_;
  std::deque<Connection> connections_;  // the kept ones first; a deque does not move its elements
  std::size_t next_kept_ = 0;
  std::uint64_t due_ = 0;      // requests that should have been issued by now
  std::uint64_t waiting_ = 0;  // requests without a response yet
  Clock::time_point began_{};
  Clock::time_point expired_{};
  DrillResults results_;
  Histogram<4, std::uint64_t> latency_{};
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace pronghorn::server
