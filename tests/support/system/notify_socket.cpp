#include "support/system/notify_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

namespace pronghorn::test {

NotifySocket::NotifySocket(bool abstract)
    : address_((abstract ? "@" : "") + (directory_ / "notify")),
      fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, address_.data(), address_.size());
  if (abstract) name.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
  if (::bind(fd_, reinterpret_cast<const sockaddr*>(&name), size) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot bind " + address_);
  }
}

NotifySocket::~NotifySocket() {
  ::close(fd_);
  for (const Stored& one : stored) ::close(one.fd);
}

std::string NotifySocket::next() {
  std::array<char, 4096> text{};
  iovec bytes{text.data(), text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const ssize_t size = ::recvmsg(fd_, &header, MSG_CMSG_CLOEXEC);
  if (size < 0) return {};
  std::string message(text.data(), static_cast<std::size_t>(size));
  if (const cmsghdr* rights = CMSG_FIRSTHDR(&header); rights != nullptr) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
    const auto name = message.find("FDNAME=");
    stored.push_back(
        {name == std::string::npos ? "" : message.substr(name + 7, message.find('\n', name) - name - 7), fd});
  }
  return message;
}

std::string NotifySocket::wait_for(std::string_view text, std::chrono::milliseconds deadline) {
  std::string found;
  const bool came = eventually(deadline, [&] {
    for (std::string message = next(); !message.empty(); message = next()) {
      if (message.find(text) == std::string::npos) continue;
      found = message;
      return true;
    }
    return false;
  });
  return came ? found : std::string();
}

}  // namespace pronghorn::test
