#include "worker/guardian/handoff.h"

#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "worker/net/socket_identity.h"

namespace pronghorn::worker {
namespace {

bool is_valid(const HandoffRecord& record) noexcept {
  return record.magic == HandoffRecord::kMagic && record.version == HandoffRecord::kVersion &&
         record.reason >= HandoffReason::death && record.reason <= HandoffReason::lost &&
         record.begun <= Begun::guilty && record.unanswered <= kMaxHandedUnanswered &&
         record.unsent <= kMaxHandedUnsent;
}

bool is_file(int fd) noexcept {
  struct stat now{};
  return fd >= 0 && ::fstat(fd, &now) == 0 && S_ISREG(now.st_mode);
}

}  // namespace

HandoffSent send_handoff(int queue, const Handed& handed, const HandoffRecord& record) noexcept {
  if ((handed.connection < 0) != (record.reason == HandoffReason::lost)) return HandoffSent::refused;
  HandoffRecord header = record;
  header.unanswered = static_cast<std::uint32_t>(handed.unanswered.size());
  header.unsent = static_cast<std::uint32_t>(handed.unsent.size());
  iovec parts[3] = {{&header, sizeof header},
                    {const_cast<char*>(handed.unanswered.data()), handed.unanswered.size()},
                    {const_cast<char*>(handed.unsent.data()), handed.unsent.size()}};
  const std::array<int, 2> descriptors{handed.connection, handed.file};
  const std::size_t size = sizeof(int) * (handed.connection < 0 ? 0 : handed.file < 0 ? 1 : 2);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptors)] = {};
  msghdr packet{};
  packet.msg_iov = parts;
  packet.msg_iovlen = 3;
  if (size != 0) {
    packet.msg_control = control;
    packet.msg_controllen = CMSG_SPACE(size);
    cmsghdr* rights = CMSG_FIRSTHDR(&packet);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(rights), descriptors.data(), size);
  }
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
    if (!taken) continue;
    const std::size_t size = sizeof(HandoffRecord) + taken->record.unanswered + taken->record.unsent;
    if (size == static_cast<std::size_t>(received)) return taken;
    if (taken->handed.connection >= 0) ::close(taken->handed.connection);
    if (taken->handed.file >= 0) ::close(taken->handed.file);
  }
}

std::optional<HandoffInbox::Taken> HandoffInbox::left_behind() noexcept {
  return busy_.load(std::memory_order_acquire) != 0 ? look() : std::nullopt;
}

// Closes descriptors that came without a valid record.
std::optional<HandoffInbox::Taken> HandoffInbox::look() noexcept {
  HandoffRecord record;
  std::memcpy(&record, message_.data(), sizeof record);
  const char* const bytes = message_.data() + sizeof record;
  cmsghdr rights{};
  std::memcpy(&rights, control_.data(), sizeof rights);
  if (rights.cmsg_len == 0) {
    if (!is_valid(record) || record.reason != HandoffReason::lost || record.unsent != 0) return std::nullopt;
    return Taken{record, {.unanswered = {bytes, record.unanswered}}};
  }
  if (rights.cmsg_level != SOL_SOCKET || rights.cmsg_type != SCM_RIGHTS) return std::nullopt;
  const bool has_file = rights.cmsg_len == CMSG_LEN(sizeof(int) * 2);
  if (!has_file && rights.cmsg_len != CMSG_LEN(sizeof(int))) return std::nullopt;
  std::array<int, kMaxDescriptors> descriptors{-1, -1};
  std::memcpy(descriptors.data(), control_.data() + CMSG_LEN(0), sizeof(int) * (has_file ? 2 : 1));
  const auto [connection, file] = descriptors;
  const bool file_fits = has_file ? is_file(file) && record.file_bytes > 0 : record.file_bytes == 0;
  if (!is_valid(record) || record.identity == 0 || identity_of(connection) != record.identity || !file_fits) {
    if (connection >= 0) ::close(connection);
    if (file >= 0) ::close(file);
    return std::nullopt;
  }
  return Taken{record,
               {.connection = connection,
                .file = file,
                .unanswered = {bytes, record.unanswered},
                .unsent = {bytes + record.unanswered, record.unsent}}};
}

}  // namespace pronghorn::worker
