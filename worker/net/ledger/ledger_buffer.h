// A buffer of the ledger that the loop reads into or writes from.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

namespace pronghorn::worker {

struct LedgerEntry;

// Serves one connection at a time, its owner, and says which of the owner's bytes it holds. In shared memory, before the
// entries. Zeroed memory has no owner.
//
// Context: as Ledger. Inline: each read and each write of a connection goes through one.
template <std::size_t Size>
class LedgerBuffer {
 public:
  // A size: bytes are being read, and nobody knows yet how many.
  static constexpr std::uint32_t kBeingRead = std::numeric_limits<std::uint32_t>::max();

  // --- The worker ---------------------------------------------------------------------------------------------------

  [[nodiscard]] std::span<char, Size> bytes() noexcept { return bytes_; }
  // The bytes are nobody's. Call before they change.
  void disown() noexcept {
    owner_.store(0, kRelease);
    std::atomic_signal_fence(std::memory_order_seq_cst);  // a release store does not keep later ones behind it
  }
  // Call when they have changed, or with kBeingRead before they do. The first byte has the position `from`.
  void give_to(const LedgerEntry& entry, std::uint64_t from, std::uint32_t size) noexcept {
    from_.store(from, kRelease);
    size_.store(size, kRelease);
    owner_.store(distance_to(entry), kRelease);
  }
  // So many bytes were read.
  void set_size(std::uint32_t size) noexcept { size_.store(size, kRelease); }

  // --- Whoever reads it ---------------------------------------------------------------------------------------------

  [[nodiscard]] bool is_of(const LedgerEntry& entry) const noexcept {
    return owner_.load(std::memory_order_relaxed) == distance_to(entry);
  }
  [[nodiscard]] bool is_being_read() const noexcept { return size_.load(std::memory_order_relaxed) == kBeingRead; }
  // Position of the first byte.
  [[nodiscard]] std::uint64_t from() const noexcept { return from_.load(std::memory_order_relaxed); }
  // The bytes that are the owner's; while they are read, all that may be.
  [[nodiscard]] std::span<const char> owned() const noexcept {
    return std::span(bytes_).first(std::min<std::size_t>(size_.load(std::memory_order_relaxed), Size));
  }

 private:
  static constexpr auto kRelease = std::memory_order_release;

  // Never 0: the entries are behind the buffer.
  [[nodiscard]] std::uint64_t distance_to(const LedgerEntry& entry) const noexcept {
    return reinterpret_cast<std::uintptr_t>(&entry) - reinterpret_cast<std::uintptr_t>(this);
  }

  std::atomic<std::uint64_t> owner_;  // distance_to() its entry; 0: none
  std::atomic<std::uint64_t> from_;
  std::atomic<std::uint32_t> size_;
  alignas(64) std::array<char, Size> bytes_;
};

}  // namespace pronghorn::worker
