#include "worker/state/cache/store/tracked_read.h"

#include <algorithm>
#include <utility>

namespace pronghorn::worker {

TrackedRead::TrackedRead(RedisClient& client, LocalCache* copies) : client_(client), call_(client), copies_(copies) {
  if (copies_ != nullptr) began_ms_ = copies_->now_ms();
}

TrackedRead::~TrackedRead() {
  for (Sent& read : sent_) {
    if (read.slot) copies_->copies().give_up(std::exchange(read.slot, nullptr));
  }
}

std::size_t TrackedRead::send(std::initializer_list<std::string_view> words) {
  call_.send(words);
  sent_.push_back({.index = next_++});
  return sent_.size() - 1;
}

// CLIENT CACHING tracks the next command of its connection. In a cluster a transaction keeps the two together, wherever
// the key is.
std::size_t TrackedRead::get(const std::string& key) {
  if (copies_ == nullptr) return send({"GET", key});
  if (!copies_->ready(key)) {
    all_tracked_ = false;
    return send({"GET", key});
  }
  const bool in_transaction = client_.is_cluster();
  auto slot = copies_->copies().expect(key);
  if (in_transaction) call_.send({"MULTI"});
  call_.send({"CLIENT", "CACHING", "YES"});
  call_.send({"GET", key});
  if (in_transaction) call_.send({"EXEC"});
  next_ += in_transaction ? 4 : 2;
  sent_.push_back({.index = next_ - 1, .in_transaction = in_transaction, .slot = std::move(slot)});
  return sent_.size() - 1;
}

Reply TrackedRead::take(std::size_t position) {
  Sent& sent = sent_[position];
  Reply& reply = call_.reply(sent.index);
  if (!sent.slot) return std::move(reply);
  if (!sent.in_transaction) {
    sent.tracked = !call_.reply(sent.index - 1).is_error();
    return std::move(reply);
  }
  if (!reply.is_array() || reply.array().size() != 2) return std::move(reply);  // it was refused
  Reply::Array both = std::move(reply).array();
  sent.tracked = !both[0].is_error();
  return std::move(both[1]);
}

bool TrackedRead::is_watched(const Sent& read) {
  const std::uint64_t connection = call_.connection(read.index);
  return read.tracked && copies_->watches(connection) && copies_->copies().watched(read.slot, connection);
}

void TrackedRead::keep(const CacheCall& wanted, const Judged& judged) {
  if (copies_ == nullptr || !all_tracked_) return;
  std::vector<std::shared_ptr<LocalCopies::Slot>> slots;
  for (Sent& read : sent_) {
    if (!read.slot) continue;
    if (!is_watched(read)) return;
    slots.push_back(read.slot);
  }
  const std::shared_ptr<LocalCopies::Slot> entry = slots.front();
  LocalCopies::Copy copy;
  copy.name = wanted.name;
  copy.value = judged.entry.value;
  copy.until_ms = began_ms_ + static_cast<std::uint64_t>(judged.left.count());
  copy.tags.assign(slots.begin() + 1, slots.end());
  copies_->copies().keep(entry, std::move(copy));
}

}  // namespace pronghorn::worker
