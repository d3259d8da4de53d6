// An entry of the cache as it is stored in Redis. No I/O.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pronghorn::worker {

// A tag of an entry, and the version that it had before the entry's fill began. The entry is valid while the tag still
// has that version.
struct EntryTag {
  std::string key;      // of its version in Redis
  std::string version;  // kIdSize bytes
};

struct Entry {
  static constexpr std::size_t kIdSize = 16;
  // The bytes at the beginning of an encoded entry that tell it from every other one.
  static constexpr std::size_t kPrefixSize = 1 + kIdSize;

  std::string id = {};                    // kIdSize bytes
  bool missing = false;                   // a negative entry: its fill returned nullopt
  std::chrono::milliseconds lifetime{0};  // of its key in Redis when it was stored; the last …
  std::chrono::milliseconds stale{0};     // … of it, in which it may be used and has to be computed anew
  std::vector<EntryTag> tags = {};
  std::string value = {};
};

[[nodiscard]] std::string encode(const Entry& entry);
// nullopt if `bytes`, which come from Redis, are no entry.
[[nodiscard]] std::optional<Entry> decode_entry(std::string bytes);

// What tells the entry apart, of bytes that may be anything.
[[nodiscard]] inline std::string_view entry_prefix(std::string_view bytes) noexcept {
  return bytes.substr(0, Entry::kPrefixSize);
}

}  // namespace pronghorn::worker
