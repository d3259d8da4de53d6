#include "worker/state/cache/store/tracked_read.h"

#include <algorithm>
#include <utility>

namespace pronghorn::worker {

TrackedRead::TrackedRead(RedisClient& client, LocalCache* copies)
    : call_(client), copies_(copies != nullptr && copies->ready() ? copies : nullptr) {
  if (copies_ != nullptr) began_ms_ = copies_->now_ms();
}

TrackedRead::~TrackedRead() {
  for (const auto& slot : slots_) copies_->copies().give_up(slot);
}

std::size_t TrackedRead::get(const std::string& key) {
  if (copies_ != nullptr) {  // tracks the next command only
    slots_.push_back(copies_->copies().expect(key));
    permissions_.push_back(send({"CLIENT", "CACHING", "YES"}));
  }
  return send({"GET", key});
}

void TrackedRead::keep(const CacheCall& wanted, const Judged& judged) {
  if (copies_ == nullptr || !copies_->tracking()) return;
  const auto refused = [this](std::size_t position) { return call_.reply(position).is_error(); };
  if (std::ranges::any_of(permissions_, refused)) return;
  const std::shared_ptr<LocalCopies::Slot> entry = slots_.front();
  LocalCopies::Copy copy;
  copy.name = wanted.name;
  copy.value = judged.entry.value;
  copy.until_ms = began_ms_ + static_cast<std::uint64_t>(judged.left.count());
  copy.tags.assign(slots_.begin() + 1, slots_.end());
  slots_.erase(slots_.begin());
  copies_->copies().keep(entry, std::move(copy));
}

}  // namespace pronghorn::worker
