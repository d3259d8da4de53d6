#include "support/clients/http2/http2_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace pronghorn::test {

using Clock = std::chrono::steady_clock;

Http2Socket::Http2Socket(const Address& address, const Http2Client::Options& options) : client_(options) {
  const SocketAddress to = socket_address(address);
  fd_ = ::socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0 || ::connect(fd_, reinterpret_cast<const sockaddr*>(&to.storage), to.size) != 0) {
    const int error = errno;
    if (fd_ >= 0) ::close(fd_);
    throw std::system_error(error, std::generic_category(), "connect " + address.text());
  }
}

Http2Socket::~Http2Socket() { ::close(fd_); }

void Http2Socket::send_all(std::string_view bytes) {
  while (!bytes.empty() && !ended_) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) {
      ended_ = true;
    } else {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
}

void Http2Socket::receive() {
  char buffer[16 * 1024];
  const ssize_t size = ::recv(fd_, buffer, sizeof buffer, 0);
  if (size < 0 && errno == EINTR) return;
  if (size <= 0 || !client_.input({buffer, static_cast<std::size_t>(size)})) ended_ = true;
}

bool Http2Socket::run_until(const std::function<bool()>& done, std::chrono::milliseconds deadline) {
  const auto end = Clock::now() + deadline;
  while (true) {
    send_all(client_.output());
    if (done()) return true;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    if (ended_ || left <= 0) return false;
    pollfd poll{.fd = fd_, .events = POLLIN, .revents = 0};
    if (::poll(&poll, 1, static_cast<int>(left)) > 0) receive();
  }
}

Http2Answer Http2Socket::ask(std::string_view method, std::string_view path, const Http2Fields& more,
                             std::optional<std::string> body) {
  const std::int32_t stream = client_.request(method, path, more, std::move(body));
  run_until([&] { return client_.answer(stream).complete || client_.answer(stream).closed; });
  return client_.answer(stream);
}

bool Http2Socket::send_raw(std::string_view bytes) {
  send_all(bytes);
  return !ended_;
}

}  // namespace pronghorn::test
