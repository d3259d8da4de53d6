#include "worker/net/ledger/ledger_cells.h"

#include <bit>

namespace pronghorn::worker {
namespace {

constexpr std::uint32_t kPerBlock = LedgerCell::kPerBlock;
constexpr std::uint16_t kAllFree = 0xffff;
static_assert(kPerBlock == 16);

}  // namespace

std::uint32_t LedgerCells::take() noexcept {
  if (with_room_.empty()) return 0;
  const std::uint32_t block = with_room_.back();
  std::uint16_t& free = blocks_[block - 1].free;
  const auto cell = static_cast<std::uint32_t>(std::countr_zero(free));
  free &= static_cast<std::uint16_t>(free - 1);
  if (free == 0) with_room_.pop_back();
  return (block - 1) * kPerBlock + cell + 1;
}

void LedgerCells::add(std::uint32_t block) noexcept {
  if (blocks_.size() < block) blocks_.resize(block);
  blocks_[block - 1] = {.free = kAllFree, .place = static_cast<std::uint32_t>(with_room_.size())};
  with_room_.push_back(block);
}

std::uint32_t LedgerCells::give_back(std::uint32_t cell) noexcept {
  const std::uint32_t block = (cell - 1) / kPerBlock + 1;
  Block& here = blocks_[block - 1];
  if (here.free == 0) {
    here.place = static_cast<std::uint32_t>(with_room_.size());
    with_room_.push_back(block);
  }
  here.free |= static_cast<std::uint16_t>(1U << ((cell - 1) % kPerBlock));
  if (here.free != kAllFree) return 0;
  const std::uint32_t last = with_room_.back();
  with_room_[here.place] = last;
  blocks_[last - 1].place = here.place;
  with_room_.pop_back();
  here.free = 0;
  return block;
}

}  // namespace pronghorn::worker
