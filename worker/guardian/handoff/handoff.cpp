#include "worker/guardian/handoff/handoff.h"

#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "worker/net/socket/kernel_tls.h"
#include "worker/net/socket/socket_identity.h"

namespace pronghorn::worker {
namespace {

std::size_t marks_bytes(const HandoffRecord& record) noexcept { return record.marks * sizeof(LedgerMark); }

// Only a WebSocket has anything of its own. It has had a request, which was answered.
bool is_valid_socket(const HandoffRecord& record) noexcept {
  if (record.socket == 0) {
    return record.closing == 0 && record.marks == 0 && record.state == 0 && record.messages_bytes == 0;
  }
  return record.socket == 1 && record.closing <= 1 && record.answered != 0 && record.sent != 0 &&
         record.marks <= kMaxMarks && record.state <= kMaxSocketState &&
         (record.messages_bytes == 0 || record.unanswered == 0);
}

bool is_valid(const HandoffRecord& record) noexcept {
  return record.magic == HandoffRecord::kMagic && record.version == HandoffRecord::kVersion &&
         record.reason >= HandoffReason::death && record.reason <= HandoffReason::lost &&
         record.begun <= Begun::guilty && record.unanswered <= kMaxHandedUnanswered &&
         record.unsent <= kMaxHandedUnsent && is_valid_socket(record) &&
         marks_bytes(record) + record.state + record.unsent <= kMaxHandedUnsent;
}

bool is_file(int fd) noexcept {
  struct stat now{};
  return fd >= 0 && ::fstat(fd, &now) == 0 && S_ISREG(now.st_mode);
}

bool is_file_of(int fd, std::uint64_t bytes) noexcept {
  struct stat now{};
  return fd >= 0 && ::fstat(fd, &now) == 0 && S_ISREG(now.st_mode) && static_cast<std::uint64_t>(now.st_size) == bytes;
}

// Of a connection that the kernel encrypts: the number of the record that is sent next.
std::uint64_t record_after(const HandoffInbox::Taken& taken) noexcept {
  if ((taken.record.peer.flags & LedgerPeer::kKernelTls) == 0) return 0;
  const auto tls = kernel_tls_of(taken.handed.connection);
  return tls ? tls->next_record : 0;
}

}  // namespace

Begun begun_at(Begun begun, std::uint64_t begun_until, std::uint64_t position) noexcept {
  if (begun == Begun::no || position >= begun_until) return Begun::no;
  return begun == Begun::guilty && position + 1 != begun_until ? Begun::again : begun;
}

TakenUp taken_up(const HandoffInbox::Taken& taken) noexcept {
  const auto& [record, handed] = taken;
  return {.answered = record.answered,
          .unanswered = handed.unanswered,
          .sent = record.sent,
          .unsent = handed.unsent,
          .file = handed.file,
          .file_offset = record.file_offset,
          .file_bytes = record.file_bytes,
          .ends = record.ends != 0,
          .begun = record.begun,
          .begun_until = record.begun_until,
          .requests = record.requests,
          .opened_ms = record.opened_ms,
          .identity = record.identity,
          .next_record = record_after(taken),
          .records_base = record.records_base,
          .socket = record.socket != 0,
          .closing = record.closing != 0,
          .truncated = record.truncated != 0,
          .state = handed.state,
          .marks = handed.marks};
}

void drop(const Handed& handed) noexcept {
  for (const int fd : {handed.connection, handed.file, handed.messages}) {
    if (fd >= 0) ::close(fd);
  }
}

HandoffSent send_handoff(int queue, const Handed& handed, const HandoffRecord& record) noexcept {
  if ((handed.connection < 0) != (record.reason == HandoffReason::lost)) return HandoffSent::refused;
  HandoffRecord header = record;
  header.marks = static_cast<std::uint32_t>(handed.marks.size());
  header.state = static_cast<std::uint32_t>(handed.state.size());
  header.unanswered = static_cast<std::uint32_t>(handed.unanswered.size());
  header.unsent = static_cast<std::uint32_t>(handed.unsent.size());
  std::array<iovec, 5> parts{{{&header, sizeof header},
                              {const_cast<LedgerMark*>(handed.marks.data()), handed.marks.size_bytes()},
                              {const_cast<char*>(handed.state.data()), handed.state.size()},
                              {const_cast<char*>(handed.unanswered.data()), handed.unanswered.size()},
                              {const_cast<char*>(handed.unsent.data()), handed.unsent.size()}}};
  std::array<int, kMaxHandedDescriptors> descriptors{};
  std::size_t count = 0;
  for (const int fd : {handed.connection, handed.file, handed.messages}) {
    if (fd >= 0) descriptors[count++] = fd;
  }
  const std::size_t size = sizeof(int) * count;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptors)] = {};
  msghdr packet{};
  packet.msg_iov = parts.data();
  packet.msg_iovlen = parts.size();
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
    if (sizeof(HandoffRecord) + taken->handed.size() == static_cast<std::size_t>(received)) return taken;
    drop(taken->handed);
  }
}

std::optional<HandoffInbox::Taken> HandoffInbox::left_behind() noexcept {
  return busy_.load(std::memory_order_acquire) != 0 ? look() : std::nullopt;
}

// Of a valid record: what follows it.
Handed HandoffInbox::handed_with(const HandoffRecord& record) const noexcept {
  static_assert(sizeof(HandoffRecord) % alignof(LedgerMark) == 0);
  const char* const marks = message_.data() + sizeof record;
  const char* const state = marks + marks_bytes(record);
  const char* const unanswered = state + record.state;
  return {.unanswered = {unanswered, record.unanswered},
          .unsent = {unanswered + record.unanswered, record.unsent},
          .marks = {reinterpret_cast<const LedgerMark*>(marks), record.marks},
          .state = {state, record.state}};
}

// Closes descriptors that came without a valid record.
std::optional<HandoffInbox::Taken> HandoffInbox::look() noexcept {
  HandoffRecord record;
  std::memcpy(&record, message_.data(), sizeof record);
  cmsghdr rights{};
  std::memcpy(&rights, control_.data(), sizeof rights);
  if (rights.cmsg_len == 0) {
    if (!is_valid(record) || record.reason != HandoffReason::lost || record.unsent != 0) return std::nullopt;
    return Taken{record, handed_with(record)};
  }
  if (rights.cmsg_level != SOL_SOCKET || rights.cmsg_type != SCM_RIGHTS || rights.cmsg_len < CMSG_LEN(sizeof(int))) {
    return std::nullopt;
  }
  const std::size_t count = std::min((rights.cmsg_len - CMSG_LEN(0)) / sizeof(int), kMaxHandedDescriptors);
  std::array<int, kMaxHandedDescriptors> descriptors{-1, -1, -1};
  std::memcpy(descriptors.data(), control_.data() + CMSG_LEN(0), sizeof(int) * count);
  Handed handed = is_valid(record) ? handed_with(record) : Handed{};
  // In the order in which they were sent.
  auto next = descriptors.begin();
  handed.connection = *next++;
  if (record.file_bytes > 0) handed.file = *next++;
  if (record.messages_bytes > 0) handed.messages = *next++;
  const bool fits = static_cast<std::size_t>(next - descriptors.begin()) == count &&
                    (record.file_bytes == 0 || is_file(handed.file)) &&
                    (record.messages_bytes == 0 || is_file_of(handed.messages, record.messages_bytes));
  if (is_valid(record) && has_identity(handed.connection, record.identity) && fits) return Taken{record, handed};
  drop({.connection = descriptors[0], .file = descriptors[1], .messages = descriptors[2]});
  return std::nullopt;
}

}  // namespace pronghorn::worker
