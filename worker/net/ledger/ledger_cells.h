// Cells of the ledger: a socket's note needs little, and thousands of sockets have one, so a block would be too much.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "worker/net/ledger/ledger_socket.h"

namespace pronghorn::worker {

// In shared memory. A note fills cells with its marks, and then with its state.
struct LedgerCell {
  static constexpr std::size_t kBytes = 240;
  static constexpr std::size_t kPerBlock = 16;

  struct Mark {
    std::atomic<std::uint64_t> key;  // a NoteKey
    std::atomic<std::uint64_t> epoch;
    std::atomic<std::uint64_t> offset;
  };
  using MarkSlots = std::array<Mark, 2>;  // the next mark is written to the slot that does not count
  static constexpr std::size_t kMarks = kBytes / sizeof(MarkSlots);

  std::atomic<std::uint32_t> next;   // index + 1; 0: the last one
  std::atomic<std::uint32_t> state;  // of a note's first cell: bytes of state
  std::atomic<std::uint32_t> marks;  // of a note's first cell
  std::uint32_t unused;
  std::array<char, kBytes> bytes;

  [[nodiscard]] MarkSlots& mark(std::size_t index) noexcept {
    return reinterpret_cast<MarkSlots*>(bytes.data())[index];
  }
  [[nodiscard]] const MarkSlots& mark(std::size_t index) const noexcept {
    return reinterpret_cast<const MarkSlots*>(bytes.data())[index];
  }
};
static_assert(sizeof(LedgerCell) == 256 && offsetof(LedgerCell, bytes) % alignof(LedgerCell::MarkSlots) == 0);
static_assert(LedgerCell::kMarks * sizeof(LedgerCell::MarkSlots) == LedgerCell::kBytes);

// Which cells are free. The writer's own, outside of the shared memory. Blocks and cells are counted from 1.
class LedgerCells {
 public:
  // 0: there is none; add() a block.
  [[nodiscard]] std::uint32_t take() noexcept;
  void add(std::uint32_t block) noexcept;
  // Returns the block of the cell if all of it is free now: it is the caller's again. 0: it is not.
  [[nodiscard]] std::uint32_t give_back(std::uint32_t cell) noexcept;

 private:
  struct Block {
    std::uint16_t free = 0;   // a bit for each cell
    std::uint32_t place = 0;  // in with_room_, if any is free
  };
  std::vector<Block> blocks_;
  std::vector<std::uint32_t> with_room_;
};

}  // namespace pronghorn::worker
