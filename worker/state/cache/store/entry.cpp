#include "worker/state/cache/store/entry.h"

#include <cstdint>
#include <utility>

namespace pronghorn::worker {
namespace {

// The first byte, so that a later version can change what follows: an entry that is not understood is a miss.
constexpr char kFormat = 1;
constexpr char kMissing = 1;  // a flag

void append_number(std::string& bytes, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift & 0xff);
}

// Takes parts from the beginning; `failed` once there is not enough.
struct Parts {
  std::string_view rest;
  bool failed = false;

  std::string_view take(std::size_t size) {
    if (rest.size() < size) failed = true;
    const std::string_view part = rest.substr(0, size);
    rest.remove_prefix(part.size());
    return part;
  }
  std::uint8_t byte() {
    const std::string_view part = take(1);
    return part.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(part.front());
  }
  std::chrono::milliseconds time() {
    std::uint64_t number = 0;
    for (const char byte : take(8)) number = number << 8 | static_cast<std::uint8_t>(byte);
    if (number >> 62 != 0) failed = true;
    return std::chrono::milliseconds(failed ? 0 : static_cast<std::int64_t>(number));
  }
};

}  // namespace

std::string encode(const Entry& entry) {
  std::string bytes;
  bytes.reserve(Entry::kPrefixSize + 18 + entry.tags.size() * 96 + entry.value.size());
  bytes += kFormat;
  bytes += entry.id;
  bytes += entry.missing ? kMissing : '\0';
  append_number(bytes, static_cast<std::uint64_t>(entry.lifetime.count()));
  append_number(bytes, static_cast<std::uint64_t>(entry.stale.count()));
  bytes += static_cast<char>(entry.tags.size());
  for (const EntryTag& tag : entry.tags) {
    bytes += static_cast<char>(tag.key.size() >> 8);
    bytes += static_cast<char>(tag.key.size() & 0xff);
    bytes += tag.key;
    bytes += tag.version;
  }
  bytes += entry.value;
  return bytes;
}

std::optional<Entry> decode_entry(std::string bytes) {
  Parts parts{bytes};
  Entry entry;
  if (parts.byte() != kFormat) return std::nullopt;
  entry.id = parts.take(Entry::kIdSize);
  entry.missing = (parts.byte() & kMissing) != 0;
  entry.lifetime = parts.time();
  entry.stale = parts.time();
  const std::size_t tags = parts.byte();
  for (std::size_t i = 0; i < tags && !parts.failed; ++i) {
    const std::size_t high = parts.byte();
    const std::size_t size = high << 8 | parts.byte();
    const std::string_view key = parts.take(size);
    const std::string_view version = parts.take(Entry::kIdSize);
    entry.tags.push_back({std::string(key), std::string(version)});
  }
  if (parts.failed) return std::nullopt;
  const std::size_t head = bytes.size() - parts.rest.size();
  bytes.erase(0, head);
  entry.value = std::move(bytes);
  return entry;
}

}  // namespace pronghorn::worker
