// Texts that no two processes make, for ids of entries and versions of tags.
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "worker/state/cache/store/entry.h"

namespace pronghorn::worker {

class UniqueIds {
 public:
  UniqueIds() {
    std::random_device random;
    base_ = static_cast<std::uint64_t>(random()) << 32 | random();
  }
  // Entry::kIdSize bytes.
  [[nodiscard]] std::string next() {
    static_assert(Entry::kIdSize == 2 * sizeof(std::uint64_t));
    ++count_;
    std::string id(reinterpret_cast<const char*>(&base_), sizeof base_);
    return id.append(reinterpret_cast<const char*>(&count_), sizeof count_);
  }

 private:
  std::uint64_t base_;
  std::uint64_t count_ = 0;
};

}  // namespace pronghorn::worker
