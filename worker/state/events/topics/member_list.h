// Members of a topic that are called one after the other.
#pragma once

#include <cstddef>
#include <vector>

#include "worker/state/events/topics/topic_member.h"

namespace pronghorn::worker {

// Each member knows its index, so that it leaves in constant time. While members are called the indexes stay as they
// are: who leaves then leaves a hole.
class MemberList {
 public:
  void add(TopicMember& member) {
    member.index_ = static_cast<std::uint32_t>(members_.size());
    members_.push_back(&member);
    ++living_;
  }
  void remove(TopicMember& member, bool calling) noexcept {
    --living_;
    if (calling) {
      members_[member.index_] = nullptr;
      return;
    }
    members_[member.index_] = members_.back();
    members_[member.index_]->index_ = member.index_;
    members_.pop_back();
  }
  // Removes the holes; keeps the order.
  void compact() noexcept {
    if (living_ == members_.size()) return;
    std::erase(members_, nullptr);
    for (std::size_t i = 0; i < members_.size(); ++i) members_[i]->index_ = static_cast<std::uint32_t>(i);
  }

  [[nodiscard]] std::size_t living() const noexcept { return living_; }
  [[nodiscard]] std::size_t size() const noexcept { return members_.size(); }  // with holes
  [[nodiscard]] TopicMember* operator[](std::size_t index) const noexcept { return members_[index]; }

 private:
  std::vector<TopicMember*> members_;  // null: a hole
  std::size_t living_ = 0;
};

}  // namespace pronghorn::worker
