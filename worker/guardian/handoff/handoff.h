// The handoff queue: how a connection goes from one worker, or the guardian of a dead one, to another worker.
//
// A SOCK_SEQPACKET pair that the supervisor makes and every worker inherits. Givers share one end, takers the other.
// The supervisor holds both, so what is in the queue outlives the workers. A message is one connection: its descriptor,
// the descriptors of a file that has been sent in part and of a file with the client's unanswered bytes (if there are
// any), a HandoffRecord, the marks and the state of a WebSocket, the client's unanswered bytes, and the bytes that have
// not been sent to it yet.
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

#include "worker/net/ledger/ledger.h"

namespace pronghorn::worker {

enum class HandoffReason : std::uint32_t {
  death = 1,  // its worker was killed or has crashed
  drain,      // its worker is leaving
  accepted,   // its worker died right after accepting it: it is served from its first byte
  lost,       // no connection: a request that ended with its worker, for the access log
};

// Fixed layout: both ends are of one build, or of two that agree on kVersion.
struct HandoffRecord {
  static constexpr std::uint32_t kMagic = 0x50524848;  // "PRHH"
  static constexpr std::uint32_t kVersion = 7;

  std::uint32_t magic = kMagic;
  std::uint32_t version = kVersion;
  HandoffReason reason = HandoffReason::death;
  std::uint32_t unanswered = 0;  // how many unanswered bytes follow the record
  std::uint32_t unsent = 0;      // how many unsent bytes follow those
  std::uint32_t ends = 0;        // 1: the connection ends after the unsent bytes
  std::uint32_t truncated = 0;   // 1: the unanswered bytes are the beginning of a request whose rest is gone
  std::uint32_t socket = 0;      // 1: it is a WebSocket; if truncated, no byte of its client is to be trusted
  std::uint32_t closing = 0;     // 1: its close handler had begun; if `ends` is 1 too, it had ended
  std::uint32_t marks = 0;       // how many marks follow the record
  std::uint32_t state = 0;       // how many bytes of state follow those; then the unanswered bytes
  std::uint64_t answered = 0;    // position of the first unanswered byte
  std::uint64_t sent = 0;        // position of the first unsent byte: what was written to the client so far
  // The part of a file that follows the unsent bytes. 0 bytes: there is no file, and no descriptor of one.
  std::uint64_t file_offset = 0;
  std::uint64_t file_bytes = 0;
  // Of a WebSocket: so many unanswered bytes are in a file, and none follow the record. 0: there is no such file.
  std::uint64_t messages_bytes = 0;
  std::uint64_t opened_ms = 0;
  std::uint64_t begun_ns = 0;  // steady clock: when the request that was lost began
  std::uint64_t identity =
      0;  // of the descriptor: it is this connection and no other (worker/net/socket/socket_identity.h)
  std::uint32_t requests = 0;
  Begun begun = Begun::no;         // of unanswered requests or messages that begin before begun_until
  std::uint64_t begun_until = 0;   // kCloseBegun: of the close handler
  std::uint64_t records_base = 0;  // LedgerRecords::base
  RequestId crashed;               // the request that crashed the worker; its number is 0 if it is not known
  LedgerPeer peer;
};
static_assert(std::is_trivially_copyable_v<HandoffRecord>);

// Where the close handler begins, as if it were the last message.
inline constexpr std::uint64_t kCloseBegun = UINT64_MAX;

// What dead workers had done of the message of a WebSocket that begins at `position`: no, or again (it may be handled
// once more), or guilty or unknown (it must not be handled).
[[nodiscard]] Begun begun_at(Begun begun, std::uint64_t begun_until, std::uint64_t position) noexcept;

// Unanswered bytes of the client. More of them, which only a WebSocket has, go as a file.
inline constexpr std::size_t kMaxHandedUnanswered = Ledger::kMaxUnanswered + Ledger::kReadBuffer;
// What is not sent yet, with the marks and the state of a WebSocket; more unsent bytes go as a file.
inline constexpr std::size_t kMaxHandedUnsent = Ledger::kWriteBuffer;
static_assert(kMaxSocketState + kMaxMarks * sizeof(LedgerMark) < kMaxHandedUnsent);
inline constexpr std::size_t kMaxHandedDescriptors = 3;  // the connection's and two files'
inline constexpr std::size_t kMaxHandoffMessage = sizeof(HandoffRecord) + kMaxHandedUnanswered + kMaxHandedUnsent;

// What is handed over, without the record. Views and descriptors belong to the caller.
struct Handed {
  int connection = -1;                     // -1: none, with HandoffReason::lost
  int file = -1;                           // -1: none
  int messages = -1;                       // a file with the unanswered bytes; -1: none
  std::string_view unanswered = {};        // at most kMaxHandedUnanswered
  std::string_view unsent = {};            // at most kMaxHandedUnsent, with marks and state
  std::span<const LedgerMark> marks = {};  // at most kMaxMarks
  std::string_view state = {};             // at most kMaxSocketState
  [[nodiscard]] std::size_t size() const noexcept {
    return marks.size_bytes() + state.size() + unanswered.size() + unsent.size();
  }
};

enum class HandoffSent {
  yes,
  full,    // the queue, or the number of descriptors that a user may have in flight: try again
  refused  // this descriptor cannot be sent, or the queue is gone
};
// Closes the descriptors.
void drop(const Handed& handed) noexcept;
// Sends a copy of the descriptors. Fills in the sizes of the record. Never blocks; allocates nothing.
[[nodiscard]] HandoffSent send_handoff(int queue, const Handed& handed, const HandoffRecord& record) noexcept;

// The buffer that a worker receives messages in. It is in shared memory, and the kernel itself writes the numbers of
// the descriptors into it. So if the worker dies before it has noted the connection in its ledger, its guardian finds
// the connection here.
class HandoffInbox {
 public:
  struct Taken {
    HandoffRecord record;
    Handed handed;  // valid until the next receive(); the descriptors are the caller's
  };

  // Takes one message; empty if there is none. Drops invalid messages and closes their descriptors. Call done() as soon
  // as the connection is in the ledger or closed.
  [[nodiscard]] std::optional<Taken> receive(int queue) noexcept;
  void done() noexcept { busy_.store(0, std::memory_order_release); }

  // For the guardian of a dead worker: what it had received and not noted yet. Checks everything that it finds.
  [[nodiscard]] std::optional<Taken> left_behind() noexcept;

 private:
  [[nodiscard]] std::optional<Taken> look() noexcept;
  [[nodiscard]] Handed handed_with(const HandoffRecord& record) const noexcept;

  std::atomic<std::uint32_t> busy_;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxHandedDescriptors)> control_;
  alignas(HandoffRecord) std::array<char, kMaxHandoffMessage> message_;
};

// What the ledger is to note of it.
[[nodiscard]] TakenUp taken_up(const HandoffInbox::Taken& taken) noexcept;

}  // namespace pronghorn::worker
