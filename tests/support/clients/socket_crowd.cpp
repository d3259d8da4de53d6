#include "support/clients/socket_crowd.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include "worker/websocket/protocol/frame_reader.h"
#include "worker/websocket/protocol/frame_writer.h"

namespace pronghorn::test {

using Clock = std::chrono::steady_clock;

struct SocketCrowd::Shared {
  worker::FrameMemory memory;
  worker::FrameWriter writer{worker::WebSocketRole::client};
};

struct SocketCrowd::Client {
  enum class State { connecting, handshake, open, lost };
  Client(std::size_t its_number, int its_fd, worker::FrameMemory& memory)
      : number(its_number), fd(its_fd), reader(memory, {.role = worker::WebSocketRole::client}) {}
  std::size_t number;
  int fd;
  State state = State::connecting;
  std::string request;
  std::string head;
  std::string unparsed;
  worker::FrameReader reader;
};

SocketCrowd::SocketCrowd(Address address, OnText on_text, int receive_buffer)
    : address_(std::move(address)),
      on_text_(std::move(on_text)),
      receive_buffer_(receive_buffer),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      shared_(std::make_unique<Shared>()) {}

SocketCrowd::~SocketCrowd() {
  for (const auto& client : clients_) {
    if (client->fd >= 0) ::close(client->fd);
  }
  ::close(epoll_);
}

void SocketCrowd::connect(std::string_view path) {
  const SocketAddress to = socket_address(address_);
  const int fd = ::socket(to.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "socket");
  if (receive_buffer_ != 0) {
    constexpr int kSegment = 1400;
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer_, sizeof receive_buffer_);
    ::setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &kSegment, sizeof kSegment);
  }
  auto client = std::make_unique<Client>(clients_.size(), fd, shared_->memory);
  client->request.append("GET ")
      .append(path)
      .append(" HTTP/1.1\r\nHost: crowd\r\nUpgrade: websocket\r\n")
      .append(
          "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: Y3Jvd2Qgb2YgY2xpZW50cw==\r\n\r\n");
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to.storage), to.size) != 0 && errno != EINPROGRESS) {
    const int error = errno;
    ::close(fd);
    throw std::system_error(error, std::generic_category(), "connect");
  }
  epoll_event event{.events = EPOLLIN | EPOLLOUT, .data = {.ptr = client.get()}};
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  clients_.push_back(std::move(client));
}

void SocketCrowd::join(std::string_view path, std::size_t count, std::chrono::milliseconds deadline) {
  constexpr std::size_t kAtOnce = 256;
  const Clock::time_point end = Clock::now() + deadline;
  const std::size_t target = clients_.size() + count;
  while (open_ + lost_ < target) {
    while (clients_.size() < target && clients_.size() - open_ - lost_ < kAtOnce) connect(path);
    poll(std::chrono::milliseconds(100));
    if (lost_ != 0) throw std::runtime_error("a WebSocket was refused: " + reasons_.begin()->first);
    if (Clock::now() > end) throw std::runtime_error("the handshakes take too long");
  }
}

void SocketCrowd::send(std::size_t client, std::string_view text) {
  std::string frame;
  shared_->writer.text(frame, text);
  const ssize_t sent = ::send(clients_.at(client)->fd, frame.data(), frame.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(frame.size())) throw std::runtime_error("cannot send to a WebSocket");
}

void SocketCrowd::run_for(std::chrono::milliseconds time) {
  const Clock::time_point end = Clock::now() + time;
  while (Clock::now() < end) {
    poll(std::chrono::ceil<std::chrono::milliseconds>(std::max(end - Clock::now(), Clock::duration::zero())));
  }
}

bool SocketCrowd::run_until(const std::function<bool()>& condition, std::chrono::milliseconds deadline) {
  const Clock::time_point end = Clock::now() + deadline;
  while (!condition()) {
    if (Clock::now() > end) return false;
    poll(std::chrono::milliseconds(20));
  }
  return true;
}

void SocketCrowd::poll(std::chrono::milliseconds time) {
  std::array<epoll_event, 512> events;
  const int count =
      ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), static_cast<int>(time.count()));
  for (int i = 0; i < count; ++i) ready(*static_cast<Client*>(events[static_cast<std::size_t>(i)].data.ptr));
}

void SocketCrowd::ready(Client& client) {
  if (client.state == Client::State::lost) return;
  if (client.state == Client::State::connecting) {
    const ssize_t sent = ::send(client.fd, client.request.data(), client.request.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent != static_cast<ssize_t>(client.request.size())) return lose(client, "the handshake cannot be sent");
    client.request = {};
    client.state = Client::State::handshake;
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &client}};
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, client.fd, &event);
  }
  std::array<char, 65536> buffer;
  const ssize_t size = ::recv(client.fd, buffer.data(), buffer.size(), 0);
  if (size < 0 && errno == EAGAIN) return;
  if (size < 0) return lose(client, std::string("reset: ") + std::strerror(errno));
  if (size == 0) return lose(client, "the connection was closed");
  take(client, {buffer.data(), static_cast<std::size_t>(size)});
}

void SocketCrowd::take(Client& client, std::string_view bytes) {
  if (client.state == Client::State::handshake) {
    client.head.append(bytes);
    const std::size_t end = client.head.find("\r\n\r\n");
    if (end == std::string::npos) return;
    if (!client.head.starts_with("HTTP/1.1 101 ")) return lose(client, client.head.substr(0, client.head.find('\r')));
    client.state = Client::State::open;
    ++open_;
    const std::string rest = client.head.substr(end + 4);
    client.head = {};
    if (!rest.empty()) take(client, rest);
    return;
  }
  for (;;) {
    const worker::FrameStep step = client.reader.next(bytes);
    bytes.remove_prefix(step.consumed);
    if (step.item == worker::FrameItem::none) return;
    if (step.item == worker::FrameItem::text) {
      ++texts_;
      if (on_text_) on_text_(client.number, step.payload);
    } else if (step.item == worker::FrameItem::ping) {
      std::string pong;
      shared_->writer.pong(pong, step.payload);
      static_cast<void>(::send(client.fd, pong.data(), pong.size(), MSG_NOSIGNAL));
    } else if (step.item == worker::FrameItem::close || step.item == worker::FrameItem::failure) {
      return lose(client, "closed with " + std::to_string(step.code) + " " + std::string(step.payload));
    }
  }
}

void SocketCrowd::lose(Client& client, const std::string& reason) {
  if (client.state == Client::State::open) --open_;
  client.state = Client::State::lost;
  ++lost_;
  ++reasons_[reason];
  ::close(client.fd);
  client.fd = -1;
}

}  // namespace pronghorn::test
