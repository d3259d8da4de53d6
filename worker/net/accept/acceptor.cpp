#include "worker/net/accept/acceptor.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

namespace pronghorn::worker {
namespace {

constexpr int kAcceptsPerTimeCheck = 2;  // usually one client waits
constexpr int kLongestQueue = 4096;      // Linux' default limit (net.core.somaxconn), if the kernel does not tell

// libuv has no EPOLLEXCLUSIVE: with one queue for all, each client would wake every idle worker. So an epoll descriptor
// of its own watches the listener exclusively, and libuv watches that descriptor.
int make_exclusive(int listener) {
  const int outer = ::epoll_create1(EPOLL_CLOEXEC);
  if (outer < 0) throw std::runtime_error(std::string("cannot watch a listener: ") + std::strerror(errno));
  epoll_event event{};
  event.events = EPOLLIN | EPOLLEXCLUSIVE;
  if (::epoll_ctl(outer, EPOLL_CTL_ADD, listener, &event) != 0) {
    const int error = errno;
    ::close(outer);
    throw std::runtime_error(std::string("cannot watch a listener: ") + std::strerror(error));
  }
  return outer;
}

}  // namespace

bool is_replaced(int old, int fresh) noexcept {
  const auto name_of = [](int fd, sockaddr_un& name) {
    socklen_t size = sizeof name;
    return ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) == 0 && name.sun_family == AF_UNIX;
  };
  sockaddr_un old_name{};
  sockaddr_un fresh_name{};
  if (!name_of(old, old_name) || !name_of(fresh, fresh_name)) return false;
  if (std::strncmp(old_name.sun_path, fresh_name.sun_path, sizeof old_name.sun_path) != 0) return false;
  pollfd queue{.fd = old, .events = POLLIN, .revents = 0};
  return ::poll(&queue, 1, 0) == 0;
}

Acceptor::Acceptor(uv_loop_t* loop, int listener, bool exclusive, WorkerRow& row, AcceptPauses& pauses,
                   Accepted accepted)
    : listener_(listener),
      watched_(exclusive ? make_exclusive(listener) : listener),
      row_(row),
      pauses_(pauses),
      accepted_(std::move(accepted)) {
  auto poll = std::make_unique<uv_poll_t>();
  if (const int error = uv_poll_init(loop, poll.get(), watched_); error != 0) {
    if (watched_ != listener_) ::close(watched_);
    throw std::runtime_error(std::string("cannot watch a listener: ") + uv_strerror(error));
  }
  poll_.reset(poll.release());
  poll_->data = this;
}

Acceptor::~Acceptor() {
  uv_poll_stop(poll_.get());
  if (watched_ != listener_) ::close(watched_);
}

void Acceptor::start() noexcept {
  active_ = true;
  if (paused_) return;
  uv_poll_start(poll_.get(), UV_READABLE,
                [](uv_poll_t* handle, int, int) { static_cast<Acceptor*>(handle->data)->accept_in_turn(); });
}

void Acceptor::stop() noexcept {
  active_ = false;
  uv_poll_stop(poll_.get());
}

std::size_t Acceptor::waiting() const noexcept {
  tcp_info info{};
  socklen_t size = sizeof info;
  const bool shared = watched_ != listener_;
  if (shared || ::getsockopt(listener_, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return info.tcpi_unacked;  // for a listener, the length of its queue
}

void Acceptor::empty_queue() {
  const std::size_t clients = waiting();
  accept_some(clients != 0 ? static_cast<int>(clients) : kLongestQueue);
}

void Acceptor::accept_in_turn() {
  const std::uint64_t began = uv_now(poll_->loop);
  for (int left = kAcceptsPerTurn; left > 0; left -= kAcceptsPerTimeCheck) {
    if (!accept_some(kAcceptsPerTimeCheck) || monotonic_ms() - began >= kTurnMs) return;
  }
}

bool Acceptor::accept_some(int limit) {
  for (int count = 0; count < limit; ++count) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    const int fd = ::accept4(listener_, reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      add(row_[Count::accepted]);
      accepted_(fd, address);
      if (!active_) return false;  // the callee has called stop()
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno != EAGAIN) pause(errno);
    return false;
  }
  return true;
}

// Descriptors or memory ran out: clients wait in the queue until some are free again.
void Acceptor::pause(int error) noexcept {
  if (paused_) return;
  paused_ = true;
  uv_poll_stop(poll_.get());
  pauses_.paused(error);
}

void Acceptor::retry() noexcept {
  if (!paused_) return;
  paused_ = false;
  if (active_) start();
}

}  // namespace pronghorn::worker
