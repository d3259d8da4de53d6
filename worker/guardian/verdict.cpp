#include "worker/guardian/verdict.h"

namespace pronghorn::worker {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;  // the writer is dead

// What the kernel does not know of a Unix socket, the ledger says exactly, unless a system call was under way.
std::optional<SocketPositions> noted_positions(const LedgerEntry& entry, bool was_reading) noexcept {
  const std::uint64_t sent = entry.sent.load(kRelaxed);
  if (was_reading || entry.sending_until.load(kRelaxed) != sent) return std::nullopt;
  SocketPositions positions;
  positions.read = entry.read.load(kRelaxed);
  positions.written = sent;
  return positions;
}

}  // namespace

Verdict judge(const LedgerEntry& entry, const std::optional<SocketPositions>& positions, bool was_reading) noexcept {
  if (entry.state.load(std::memory_order_acquire) != LedgerState::open) return {};
  const bool is_unix = (entry.peer.flags & LedgerPeer::kUnix) != 0;
  const auto now = is_unix ? noted_positions(entry, was_reading) : positions;
  if (!now || now->broken) return {};

  std::uint64_t answered = entry.answered.load(kRelaxed);
  std::uint64_t sent = entry.sent.load(kRelaxed);
  const std::uint64_t sending_until = entry.sending_until.load(kRelaxed);
  if (now->written != sent) {
    // The worker died after a write and before it could note that all of it has left, or in the middle of a response.
    if (sending_until == sent || now->written != sending_until) return {};
    sent = sending_until;
    answered = entry.answers_until.load(kRelaxed);
  }
  if (answered > now->read || entry.dispatched.load(kRelaxed) > answered) return {};
  return {.fate = Verdict::Fate::moves, .answered = answered, .read = now->read, .sent = sent};
}

}  // namespace pronghorn::worker
