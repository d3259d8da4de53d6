// Latency at a fixed load. Requests are sent at fixed times, whether or not earlier ones have been answered, and each
// is measured from its scheduled time: a stall counts for every request that it delays.
//
//   paced_client PORT TARGET BODY RATE SECONDS      RATE: requests a second over all connections
//   prints {"requests":N,"p50_ms":…,"p99_ms":…}
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "client_socket.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kConnections = 64;
constexpr std::chrono::seconds kPatience{5};  // for the last answers

struct Connection {
  int fd = -1;
  std::size_t received = 0;             // bytes of the answer that is being received
  std::deque<Clock::time_point> asked;  // the scheduled time of each unanswered request
};

class PacedClient {
 public:
  PacedClient(std::uint16_t port, std::string request, std::string_view body)
      : request_(std::move(request)), epoll_(::epoll_create1(0)) {
    for (Connection& connection : connections_) {
      connection.fd = connect_to(port);
      answer_size_ = size_of_answer(connection.fd, request_, body);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.ptr = &connection;
      ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event);
    }
  }

  // The latencies of all requests. Does not sleep: waking up would take longer than most responses.
  std::vector<double> run(std::uint64_t rate, std::uint64_t requests) {
    const auto begin = Clock::now();
    const auto last = begin + std::chrono::nanoseconds(requests * 1'000'000'000 / rate);
    for (std::uint64_t sent = 0; milliseconds_.size() < requests;) {
      const auto due = begin + std::chrono::nanoseconds(sent * 1'000'000'000 / rate);
      const auto now = Clock::now();
      if (sent < requests && due <= now) {
        Connection& connection = connections_[sent++ % kConnections];
        connection.asked.push_back(due);
        send_all(connection.fd, request_);
      }
      if (now > last + kPatience) fail("answers are missing");
      receive_what_is_there();
    }
    return std::move(milliseconds_);
  }

 private:
  [[noreturn]] static void fail(const char* what) {
    std::fprintf(stderr, "paced_client: %s\n", what);
    std::exit(1);
  }

  void receive_what_is_there() {
    std::array<epoll_event, kConnections> events{};
    const int count = ::epoll_wait(epoll_, events.data(), kConnections, 0);
    for (int i = 0; i < count; ++i) receive(*static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr));
  }

  void receive(Connection& connection) {
    std::array<char, 64 * 1024> buffer{};
    const ssize_t got = ::recv(connection.fd, buffer.data(), buffer.size(), 0);
    if (got <= 0) fail("the server closed a connection");
    const auto now = Clock::now();
    connection.received += static_cast<std::size_t>(got);
    while (connection.received >= answer_size_) {
      if (connection.asked.empty()) fail("an answer to nothing");
      milliseconds_.push_back(std::chrono::duration<double, std::milli>(now - connection.asked.front()).count());
      connection.asked.pop_front();
      connection.received -= answer_size_;
    }
  }

  std::string request_;
  int epoll_;
  std::size_t answer_size_ = 0;
  std::array<Connection, kConnections> connections_;
  std::vector<double> milliseconds_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fputs("usage: paced_client PORT TARGET BODY RATE SECONDS\n", stderr);
    return 2;
  }
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  const std::string request = std::string("GET ") + argv[2] + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
  const auto rate = static_cast<std::uint64_t>(std::atoll(argv[4]));
  const auto requests = rate * static_cast<std::uint64_t>(std::atoll(argv[5]));
  if (requests == 0) return 2;

  std::vector<double> latencies = PacedClient(port, request, argv[3]).run(rate, requests);
  std::sort(latencies.begin(), latencies.end());
  const auto percentile = [&](std::size_t percent) { return latencies[(latencies.size() - 1) * percent / 100]; };
  std::printf("{\"requests\":%zu,\"p50_ms\":%.4f,\"p99_ms\":%.4f}\n", latencies.size(), percentile(50), percentile(99));
}
