#include "server/commands/drill/drill_load.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

namespace pronghorn::server {
namespace {

constexpr std::uint64_t kNewEvery = 10;            // requests
constexpr std::size_t kLongestAnswer = 64 * 1024;  // of a head

// The status in "HTTP/1.1 200 OK"; 0 if it is not a status line.
int status_of(std::string_view head) noexcept {
  if (!head.starts_with("HTTP/1.") || head.size() < 12) return 0;
  int status = 0;
  for (const char c : head.substr(9, 3)) {
    if (c < '0' || c > '9') return 0;
    status = status * 10 + (c - '0');
  }
  return status;
}

bool says_close(std::string_view head) noexcept {
  constexpr std::string_view kClose = "connection: close";
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a | 0x20 : a) == b; };
  return std::search(head.begin(), head.end(), kClose.begin(), kClose.end(), same) != head.end();
}

}  // namespace

DrillLoad::DrillLoad(DrillTarget target, DrillPlan plan)
    : target_(std::move(target)), plan_(plan), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  connections_.resize(plan.kept);
  for (Connection& connection : connections_) connection.kept = true;
}

DrillLoad::~DrillLoad() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  for (Connection& connection : connections_) close(connection);
  ::close(epoll_);
}

void DrillLoad::start() {
  began_ = expired_ = Clock::now();
  thread_ = std::thread([this] { run(); });
}

DrillResults DrillLoad::stop() {
  stopping_ = true;
  thread_.join();
  results_.latency.add(latency_);
  return results_;
}

void DrillLoad::run() {
  std::array<epoll_event, 256> events{};
  while (!stopping_ || waiting_ > 0) {
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 1);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      on_event(*static_cast<Connection*>(event.data.ptr), event.events);
    }
    const Clock::time_point now = Clock::now();
    if (!stopping_) issue_due(now);
    expire(now);
  }
}

void DrillLoad::issue_due(Clock::time_point now) {
  const auto elapsed = std::chrono::duration_cast<std::chrono::microseconds>(now - began_).count();
  for (const auto due = static_cast<std::uint64_t>(elapsed) * plan_.rate / 1'000'000; due_ < due; ++due_) {
    if (due_ % kNewEvery == 0) {
      ask(new_connection(), now);
      continue;
    }
    std::size_t tried = 0;
    while (tried < plan_.kept && connections_[next_kept_].waiting) {
      next_kept_ = (next_kept_ + 1) % plan_.kept;
      ++tried;
    }
    if (tried == plan_.kept) {
      ++results_.late;
      continue;
    }
    ask(connections_[next_kept_], now);
    next_kept_ = (next_kept_ + 1) % plan_.kept;
  }
}

DrillLoad::Connection& DrillLoad::new_connection() {
  for (std::size_t i = plan_.kept; i < connections_.size(); ++i) {
    if (!connections_[i].waiting) return connections_[i];
  }
  return connections_.emplace_back();
}

void DrillLoad::ask(Connection& connection, Clock::time_point now) {
  ++results_.sent;
  ++waiting_;
  connection.waiting = true;
  connection.sent = false;
  connection.asked = now;
  connection.answer.clear();
  if (connection.fd >= 0) return send_request(connection);
  if (!open(connection)) lose(connection, results_.refused);
}

bool DrillLoad::open(Connection& connection) {
  connection.fd = ::socket(target_.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connection.fd < 0) return false;
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &connection;
  const auto* address = reinterpret_cast<const sockaddr*>(&target_.address);
  if (::connect(connection.fd, address, target_.address_size) != 0 && errno != EINPROGRESS) return false;
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event) == 0;
}

void DrillLoad::close(Connection& connection) {
  if (connection.fd >= 0) ::close(connection.fd);
  connection.fd = -1;
}

void DrillLoad::on_event(Connection& connection, std::uint32_t events) {
  if (connection.fd < 0) return;
  if (!connection.waiting) {  // no response is outstanding: the server closed it
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) close(connection);
    return;
  }
  if (!connection.sent) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(connection.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return lose(connection, results_.refused);
    if ((events & EPOLLOUT) != 0) send_request(connection);
  }
  if (connection.waiting && connection.sent) receive(connection);
}

void DrillLoad::send_request(Connection& connection) {
  const ssize_t size = ::send(connection.fd, target_.request.data(), target_.request.size(), MSG_NOSIGNAL);
  if (size < 0 && errno == EAGAIN) return;  // not connected yet
  if (size != static_cast<ssize_t>(target_.request.size())) return lose(connection, results_.closed);
  connection.sent = true;
}

void DrillLoad::receive(Connection& connection) {
  std::array<char, 4096> bytes;
  for (;;) {
    const ssize_t size = ::recv(connection.fd, bytes.data(), bytes.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) return lose(connection, results_.closed);
    connection.answer.append(bytes.data(), static_cast<std::size_t>(size));
    if (connection.answer.find("\r\n\r\n") != std::string::npos) return answered(connection);
    if (connection.answer.size() > kLongestAnswer) return lose(connection, results_.closed);
  }
}

void DrillLoad::answered(Connection& connection) {
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - connection.asked).count();
  const int status = status_of(connection.answer);
  if (status == 0) return lose(connection, results_.closed);
  ++results_.answered;
  if (status >= 500) ++results_.errors;
  latency_.record(static_cast<std::uint64_t>(took));
  connection.waiting = false;
  --waiting_;
  if (!connection.kept || says_close(connection.answer)) close(connection);
}

void DrillLoad::lose(Connection& connection, std::uint64_t& kind) {
  ++kind;
  connection.waiting = false;
  --waiting_;
  close(connection);
}

void DrillLoad::expire(Clock::time_point now) {
  if (now - expired_ < std::chrono::milliseconds(100)) return;
  expired_ = now;
  for (Connection& connection : connections_) {
    if (connection.waiting && now - connection.asked >= kPatience) lose(connection, results_.timed_out);
  }
}

}  // namespace pronghorn::server
