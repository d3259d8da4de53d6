#include "worker/files/file_cache.h"

#include <algorithm>
#include <utility>

namespace pronghorn::worker {

namespace {

constexpr std::size_t kMaxEntries = 256;  // an entry holds up to three descriptors

}  // namespace

const FileVariant& ServedFile::variant_for(const RequestHead& head) const noexcept {
  if (codings.empty()) return variants.front();
  const ContentCoding wanted = choose_coding(head, codings);
  const auto found = std::find_if(variants.begin(), variants.end(),
                                  [wanted](const FileVariant& variant) { return variant.coding == wanted; });
  return found == variants.end() ? variants.front() : *found;
}

std::shared_ptr<const ServedFile> FileCache::find(std::string_view key, Clock::time_point now) const {
  const auto found = entries_.find(key);
  if (found == entries_.end() || now - found->second.opened >= kValid) return nullptr;
  return found->second.file;
}

void FileCache::keep(std::string_view key, std::shared_ptr<const ServedFile> file, Clock::time_point now) {
  const auto found = entries_.find(key);
  if (found != entries_.end()) {
    found->second = {std::move(file), now};
  } else if (entries_.size() < kMaxEntries) {
    entries_.emplace(key, Entry{std::move(file), now});
  }
  if (!std::exchange(sweep_planned_, true)) sweep_later();
}

void FileCache::sweep_later() {
  sweep_.arm([](void* cache) { static_cast<FileCache*>(cache)->sweep(); }, this);
}

void FileCache::sweep() {
  const auto now = Clock::now();
  std::erase_if(entries_, [now](const auto& entry) { return now - entry.second.opened >= kValid; });
  sweep_planned_ = !entries_.empty();
  if (sweep_planned_) sweep_later();
}

}  // namespace pronghorn::worker
