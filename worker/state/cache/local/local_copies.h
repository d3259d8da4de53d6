// Copies of entries in the memory of a worker: the least recently used are dropped first. No I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pronghorn::worker {

// Context: loop thread. Times are those of uv_now().
class LocalCopies {
 public:
  // What is known of one key in Redis: of an entry, or of the version of a tag.
  struct Slot {
    std::string key;
    bool valid = true;        // Redis has not told of a change since the slot was made
    std::uint64_t watch = 0;  // the connection whose server tells of changes; 0: not known yet
    bool filled = false;
    std::string name;  // the application's key
    std::string value;
    std::uint64_t until_ms = 0;  // how long the copy is fresh
    std::vector<std::shared_ptr<Slot>> tags;
    std::list<Slot*>::iterator position;
  };

  explicit LocalCopies(std::size_t max_bytes) noexcept : max_bytes_(max_bytes) {}
  LocalCopies(const LocalCopies&) = delete;
  LocalCopies& operator=(const LocalCopies&) = delete;

  // The copy of the application's key `name`, if it is valid and fresh; null if there is none. Good until the next call
  // of another function.
  [[nodiscard]] const Slot* find(std::string_view name, std::uint64_t now_ms);

  // Before a key is read from Redis: changes from now on make the slot invalid, even those that are told of before the
  // reply is read.
  [[nodiscard]] std::shared_ptr<Slot> expect(const std::string& key);
  // Keeps a copy, unless its slot, or one of its tags', is invalid or the value is too large for the memory.
  struct Copy {
    std::string name;
    std::string value;
    std::uint64_t until_ms;
    std::vector<std::shared_ptr<Slot>> tags;
  };
  void keep(const std::shared_ptr<Slot>& slot, Copy copy);
  // After the read: the server of the connection `watch` tells of changes. False, and the slot is invalid, if another one
  // did before: the key has moved.
  [[nodiscard]] bool watched(const std::shared_ptr<Slot>& slot, std::uint64_t watch);
  // Ends expect() without a copy.
  void give_up(const std::shared_ptr<Slot>& slot);

  // The key has changed.
  void changed(const std::string& key);
  // Any key of that connection may have changed, and any that is being read.
  void lost(std::uint64_t watch);
  // Any key that `condition` is true for may have changed.
  void drop_if(const std::function<bool(const Slot&)>& condition);

  [[nodiscard]] std::size_t max_bytes() const noexcept { return max_bytes_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::size_t slots() const noexcept { return slots_.size(); }

 private:
  void invalidate(Slot& slot);
  void forget_tags(Slot& slot);
  [[nodiscard]] static std::size_t size_of(const Slot& slot) noexcept;

  std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  std::unordered_map<std::string, std::shared_ptr<Slot>> slots_;  // by the key in Redis; all are valid
  std::unordered_map<std::string_view, Slot*> by_name_;           // those that are filled; views of Slot::name
  std::list<Slot*> by_use_;                                       // the same, the most recently used first
};

}  // namespace pronghorn::worker
