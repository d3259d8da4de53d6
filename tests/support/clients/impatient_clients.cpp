#include "support/clients/impatient_clients.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace pronghorn::test {
namespace {

using Clock = std::chrono::steady_clock;

struct Connection {
  int fd = -1;
  bool connected = false;
  bool busy = false;
  std::uint64_t request = 0;  // its number
  Clock::time_point due;      // when it was to be sent
  std::string received;
};

// The status of a whole response without chunks; 0 while it is not whole.
int status_of(std::string_view bytes) {
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos || !bytes.starts_with("HTTP/1.1 ")) return 0;
  const auto number_at = [bytes](std::size_t at) {
    std::size_t number = 0;
    std::from_chars(bytes.data() + at, bytes.data() + bytes.size(), number);
    return number;
  };
  constexpr std::string_view kLength = "Content-Length: ";
  const std::size_t length = bytes.substr(0, end).find(kLength);
  if (length == std::string_view::npos) return 0;
  if (bytes.size() < end + 4 + number_at(length + kLength.size())) return 0;
  return static_cast<int>(number_at(9));
}

class Clients {
 public:
  explicit Clients(const ImpatientOptions& options)
      : options_(options),
        request_("GET " + options.target + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) throw std::runtime_error("epoll_create1");
  }
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;
  ~Clients() {
    for (const auto& connection : connections_) disconnect(*connection);
    ::close(epoll_);
  }

  ImpatientReport run() {
    begin_ = Clock::now();
    const auto total =
        static_cast<std::uint64_t>(options_.rate * std::chrono::duration<double>(options_.duration).count());
    const auto due_of = [&](std::uint64_t number) {
      return begin_ + std::chrono::duration_cast<Clock::duration>(
                          std::chrono::duration<double>(static_cast<double>(number) / options_.rate));
    };
    while (sent_ < total || !waiting_.empty()) {
      while (sent_ < total && due_of(sent_) <= Clock::now()) ask(due_of(sent_));
      receive();
      give_up();
    }
    std::ranges::sort(report_.milliseconds);
    report_.sent = sent_;
    return std::move(report_);
  }

 private:
  struct Waiting {
    Connection* connection;
    std::uint64_t request;
    Clock::time_point until;
  };

  void ask(Clock::time_point due) {
    if (idle_.empty()) idle_.push_back(connections_.emplace_back(std::make_unique<Connection>()).get());
    Connection& connection = *idle_.back();
    idle_.pop_back();
    connection.busy = true;
    connection.request = ++sent_;
    connection.due = due;
    waiting_.push_back({&connection, connection.request, due + options_.patience});
    if (connection.fd < 0) return connect(connection);
    send(connection);
  }

  void connect(Connection& connection) {
    connection.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection.fd < 0) throw std::runtime_error("socket");
    const int on = 1;
    ::setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options_.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::connect(connection.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    epoll_event event{.events = EPOLLOUT, .data = {.ptr = &connection}};
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event);
  }

  void send(Connection& connection) {
    if (::send(connection.fd, request_.data(), request_.size(), MSG_NOSIGNAL) < 0) end(connection, report_.failed);
  }

  void receive() {
    std::array<epoll_event, 256> events{};
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 1);
    for (int i = 0; i < count; ++i) {
      Connection& connection = *static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
      connection.connected ? read(connection) : begin(connection);
    }
  }

  void begin(Connection& connection) {
    connection.connected = true;
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &connection}};
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &event);
    send(connection);
  }

  void read(Connection& connection) {
    std::array<char, 16 * 1024> buffer{};
    const ssize_t got = ::recv(connection.fd, buffer.data(), buffer.size(), 0);
    if (got <= 0) return end(connection, report_.failed);
    connection.received.append(buffer.data(), static_cast<std::size_t>(got));
    const int status = status_of(connection.received);
    if (status == 0) return;
    if (status == 200) {
      const auto ms = [](Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); };
      report_.timeline.push_back(
          {.at_ms = ms(connection.due - begin_), .latency_ms = ms(Clock::now() - connection.due)});
      report_.milliseconds.push_back(report_.timeline.back().latency_ms);
    } else {
      ++(status == 503 ? report_.refused : report_.failed);
    }
    const bool closes = connection.received.find("Connection: close") != std::string::npos;
    finish(connection);
    if (closes) disconnect(connection);
  }

  void give_up() {
    const auto now = Clock::now();
    for (; !waiting_.empty(); waiting_.pop_front()) {
      const Waiting& first = waiting_.front();
      const bool waits = first.connection->busy && first.connection->request == first.request;
      if (waits && first.until > now) return;
      if (waits) end(*first.connection, report_.gave_up);
    }
  }

  void end(Connection& connection, std::size_t& counter) {
    disconnect(connection);
    if (!connection.busy) return;  // the server has closed an idle connection
    ++counter;
    finish(connection);
  }
  void finish(Connection& connection) {
    connection.busy = false;
    connection.received.clear();
    idle_.push_back(&connection);
  }
  static void disconnect(Connection& connection) noexcept {
    if (connection.fd >= 0) ::close(std::exchange(connection.fd, -1));
    connection.connected = false;
  }

  const ImpatientOptions& options_;
  std::string request_;
  int epoll_;
  std::uint64_t sent_ = 0;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> idle_;  // those used last come first
  std::deque<Waiting> waiting_;    // in the order in which they were sent
  Clock::time_point begin_;
  ImpatientReport report_;
};

}  // namespace

double ImpatientReport::percentile(double percent) const noexcept {
  if (milliseconds.empty()) return 0;
  return milliseconds[static_cast<std::size_t>(static_cast<double>(milliseconds.size() - 1) * percent / 100)];
}

ImpatientReport run_impatient_clients(const ImpatientOptions& options) { return Clients(options).run(); }

}  // namespace pronghorn::test
