#include "worker/guardian/handoff.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace pronghorn::worker {
namespace {

bool is_valid(const HandoffRecord& record) noexcept {
  return record.magic == HandoffRecord::kMagic && record.version == HandoffRecord::kVersion &&
         (record.reason == HandoffReason::death || record.reason == HandoffReason::drain) &&
         record.begun <= Begun::guilty && record.bytes <= kMaxHandoffBytes;
}

}  // namespace

bool is_socket(int fd, std::uint64_t cookie) noexcept {
  std::uint64_t now = 0;
  socklen_t size = sizeof now;
  return fd >= 0 && ::getsockopt(fd, SOL_SOCKET, SO_COOKIE, &now, &size) == 0 && now == cookie;
}

HandoffSent send_handoff(int queue, int connection, const HandoffRecord& record, std::string_view unanswered) noexcept {
  HandoffRecord header = record;
  header.bytes = static_cast<std::uint32_t>(std::min(unanswered.size(), kMaxHandoffBytes));
  iovec parts[2] = {{&header, sizeof header}, {const_cast<char*>(unanswered.data()), header.bytes}};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr packet{};
  packet.msg_iov = parts;
  packet.msg_iovlen = 2;
  packet.msg_control = control;
  packet.msg_controllen = sizeof control;
  cmsghdr* rights = CMSG_FIRSTHDR(&packet);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(rights), &connection, sizeof connection);
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(queue, &packet, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return HandoffSent::yes;
  const bool full = errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS;
  return full ? HandoffSent::full : HandoffSent::refused;
}

std::optional<HandoffInbox::Taken> HandoffInbox::receive(int queue) noexcept {
  for (;;) {
    control_.fill(0);
    std::memset(message_.data(), 0, sizeof(HandoffRecord));
    busy_.store(1, std::memory_order_release);
    iovec part{message_.data(), message_.size()};
    msghdr packet{};
    packet.msg_iov = &part;
    packet.msg_iovlen = 1;
    packet.msg_control = control_.data();
    packet.msg_controllen = control_.size();
    const ssize_t received = ::recvmsg(queue, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) {
      done();
      return std::nullopt;
    }
    const auto taken = look();
    if (taken && sizeof(HandoffRecord) + taken->record.bytes == static_cast<std::size_t>(received)) return taken;
    if (taken) ::close(taken->fd);
  }
}

std::optional<HandoffInbox::Taken> HandoffInbox::left_behind() noexcept {
  return busy_.load(std::memory_order_acquire) != 0 ? look() : std::nullopt;
}

// Closes a socket that came without a valid record.
std::optional<HandoffInbox::Taken> HandoffInbox::look() noexcept {
  cmsghdr rights{};
  std::memcpy(&rights, control_.data(), sizeof rights);
  if (rights.cmsg_level != SOL_SOCKET || rights.cmsg_type != SCM_RIGHTS || rights.cmsg_len != CMSG_LEN(sizeof(int))) {
    return std::nullopt;
  }
  int fd = -1;
  std::memcpy(&fd, control_.data() + CMSG_LEN(0), sizeof fd);
  HandoffRecord record;
  std::memcpy(&record, message_.data(), sizeof record);
  if (!is_valid(record) || !is_socket(fd, record.cookie)) {
    if (fd >= 0) ::close(fd);
    return std::nullopt;
  }
  return Taken{fd, record, {message_.data() + sizeof record, record.bytes}};
}

}  // namespace pronghorn::worker
