// The handoff queue: how a connection goes from one worker, or the guardian of a dead one, to another worker.
//
// A SOCK_SEQPACKET pair that the supervisor makes and every worker inherits: givers share one end, takers the other, and
// the supervisor holds both, so what is in the queue outlives all of them. A message is one connection: its descriptor, a
// HandoffRecord, and the bytes of its client that no worker has answered.
#pragma once

#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "worker/net/ledger.h"

namespace pronghorn::worker {

enum class HandoffReason : std::uint32_t {
  death = 1,  // its worker was killed or has crashed
  drain,      // its worker is leaving
};

// Fixed layout: both ends are of one build, or of two that agree on kVersion.
struct HandoffRecord {
  static constexpr std::uint32_t kMagic = 0x50524848;  // "PRHH"
  static constexpr std::uint32_t kVersion = 1;

  std::uint32_t magic = kMagic;
  std::uint32_t version = kVersion;
  HandoffReason reason = HandoffReason::death;
  std::uint32_t bytes = 0;     // that follow the record: the unanswered ones
  std::uint64_t answered = 0;  // position of the first of them
  std::uint64_t sent = 0;      // bytes written to the client so far
  std::uint64_t opened_ms = 0;
  std::uint64_t cookie = 0;  // SO_COOKIE of the descriptor: it is this connection and no other
  std::uint32_t requests = 0;
  Begun begun = Begun::no;  // unanswered requests that begin before begun_until
  std::uint64_t begun_until = 0;
  LedgerPeer peer;
};
static_assert(std::is_trivially_copyable_v<HandoffRecord>);

// Whether the descriptor is the socket with this SO_COOKIE.
[[nodiscard]] bool is_socket(int fd, std::uint64_t cookie) noexcept;

inline constexpr std::size_t kMaxHandoffBytes = Ledger::kMaxSaved + Ledger::kReadBuffer;
inline constexpr std::size_t kMaxHandoffMessage = sizeof(HandoffRecord) + kMaxHandoffBytes;

enum class HandoffSent {
  yes,
  full,    // the queue, or what the kernel lets a user have in flight: try again
  refused  // this descriptor cannot be sent, or the queue is gone
};
// Sends a copy of `connection`; `unanswered` is at most kMaxHandoffBytes. Never blocks; allocates nothing.
[[nodiscard]] HandoffSent send_handoff(int queue, int connection, const HandoffRecord& record,
                                       std::string_view unanswered) noexcept;

// Where a message is received. It lies in shared memory, and the kernel itself writes the descriptor's number into it:
// should the taker die before it has noted the connection in its ledger, its guardian finds it here.
class HandoffInbox {
 public:
  struct Taken {
    int fd;
    HandoffRecord record;
    std::string_view unanswered;  // valid until the next receive()
  };

  // Takes one message; the descriptor is the caller's. Messages that make no sense are dropped, and their descriptors
  // closed. Empty when there is none. The caller says done() as soon as the connection is in its ledger, or closed.
  [[nodiscard]] std::optional<Taken> receive(int queue) noexcept;
  void done() noexcept { busy_.store(0, std::memory_order_release); }

  // For the guardian: what a taker that died had received and not noted yet. Checks everything it finds.
  [[nodiscard]] std::optional<Taken> left_behind() noexcept;

 private:
  [[nodiscard]] std::optional<Taken> look() noexcept;

  std::atomic<std::uint32_t> busy_;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control_;
  alignas(HandoffRecord) std::array<char, kMaxHandoffMessage> message_;
};

}  // namespace pronghorn::worker
