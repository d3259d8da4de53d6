#include "worker/state/cache/local/local_copies.h"

#include <algorithm>
#include <utility>

namespace pronghorn::worker {

std::size_t LocalCopies::size_of(const Slot& slot) noexcept {
  constexpr std::size_t kOverhead = 400;  // of the slot and its places in the tables
  return kOverhead + 2 * slot.key.size() + slot.name.size() + slot.value.size();
}

const LocalCopies::Slot* LocalCopies::find(std::string_view name, std::uint64_t now_ms) {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return nullptr;
  Slot& slot = *found->second;
  const bool usable =
      now_ms < slot.until_ms && std::ranges::all_of(slot.tags, [](const auto& tag) { return tag->valid; });
  if (!usable) {
    const std::string key = slot.key;
    changed(key);
    return nullptr;
  }
  if (slot.position != by_use_.begin()) by_use_.splice(by_use_.begin(), by_use_, slot.position);
  return &slot;
}

std::shared_ptr<LocalCopies::Slot> LocalCopies::expect(const std::string& key) {
  std::shared_ptr<Slot>& slot = slots_[key];
  if (!slot) {
    slot = std::make_shared<Slot>();
    slot->key = key;
  }
  return slot;
}

void LocalCopies::keep(const std::shared_ptr<Slot>& slot, Copy copy) {
  const bool valid = slot->valid && std::ranges::all_of(copy.tags, [](const auto& tag) { return tag->valid; });
  if (!valid) return give_up(slot);
  if (slot->filled) {  // another reader was faster: the later copy counts
    slot->filled = false;
    by_name_.erase(slot->name);
    by_use_.erase(slot->position);
    bytes_ -= size_of(*slot);
    forget_tags(*slot);
  }
  // Another entry of that name cannot be: a name has one key.
  slot->name = std::move(copy.name);
  slot->value = std::move(copy.value);
  slot->until_ms = copy.until_ms;
  slot->tags = std::move(copy.tags);
  if (size_of(*slot) > max_bytes_) {
    slot->value.clear();
    forget_tags(*slot);
    return give_up(slot);
  }
  slot->filled = true;
  bytes_ += size_of(*slot);
  by_name_[slot->name] = slot.get();
  by_use_.push_front(slot.get());
  slot->position = by_use_.begin();
  while (bytes_ > max_bytes_) {
    const std::string oldest = by_use_.back()->key;
    changed(oldest);
  }
}

void LocalCopies::give_up(const std::shared_ptr<Slot>& slot) {
  // Two: this reference and the table's. More: another one reads it, or an entry carries the tag.
  if (slot->valid && !slot->filled && slot.use_count() <= 2) slots_.erase(slot->key);
}

void LocalCopies::changed(const std::string& key) {
  const auto found = slots_.find(key);
  if (found == slots_.end()) return;
  const std::shared_ptr<Slot> slot = std::move(found->second);
  slots_.erase(found);
  invalidate(*slot);
}

bool LocalCopies::watched(const std::shared_ptr<Slot>& slot, std::uint64_t watch) {
  if (slot->watch == 0) slot->watch = watch;
  if (slot->watch != watch && slot->valid) changed(std::string(slot->key));
  return slot->valid;
}

void LocalCopies::lost(std::uint64_t watch) {
  drop_if([watch](const Slot& slot) { return slot.watch == watch || slot.watch == 0; });
}

void LocalCopies::drop_if(const std::function<bool(const Slot&)>& condition) {
  std::vector<std::string> keys;  // dropping one may take others out of the table
  for (const auto& [key, slot] : slots_) {
    if (condition(*slot)) keys.push_back(key);
  }
  for (const std::string& key : keys) changed(key);
}

// Of a slot that is in the table no longer.
void LocalCopies::invalidate(Slot& slot) {
  slot.valid = false;
  if (!std::exchange(slot.filled, false)) return;
  bytes_ -= size_of(slot);
  by_name_.erase(slot.name);
  by_use_.erase(slot.position);
  slot.value.clear();
  forget_tags(slot);
}

// Tags that no copy carries any more leave the table.
void LocalCopies::forget_tags(Slot& slot) {
  for (const std::shared_ptr<Slot>& tag : std::exchange(slot.tags, {})) give_up(tag);
}

}  // namespace pronghorn::worker
