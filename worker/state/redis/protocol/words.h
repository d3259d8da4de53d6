// The words of one command.
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

namespace pronghorn::worker {

// A list of views that allocates nothing up to kInline of them, as most commands have. The text must outlive it.
class Words {
 public:
  static constexpr std::size_t kInline = 16;

  Words() noexcept = default;
  Words(std::initializer_list<std::string_view> words) { add(std::span(words.begin(), words.size())); }

  void add(std::string_view word) {
    if (size_ < kInline) {
      few_[size_] = word;
    } else {
      if (size_ == kInline) many_.assign(few_.begin(), few_.end());
      many_.push_back(word);
    }
    ++size_;
  }
  void add(std::span<const std::string_view> words) {
    for (const std::string_view word : words) add(word);
  }

  [[nodiscard]] std::span<const std::string_view> all() const noexcept {
    return size_ <= kInline ? std::span(few_.data(), size_) : std::span<const std::string_view>(many_);
  }

 private:
  std::size_t size_ = 0;
  std::array<std::string_view, kInline> few_;
  std::vector<std::string_view> many_;  // all of them, once they are more
};

}  // namespace pronghorn::worker
