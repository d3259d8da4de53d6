#include "common/crash_record.h"

#include <algorithm>
#include <cstring>

namespace pronghorn {

void LogRing::append(std::string_view text) noexcept {
  if (text.size() > kLogRingBytes) text.remove_prefix(text.size() - kLogRingBytes);
  const std::uint64_t end = end_.load(std::memory_order_relaxed);
  const std::size_t at = end % kLogRingBytes;
  const std::size_t first = std::min(text.size(), kLogRingBytes - at);
  std::memcpy(bytes_ + at, text.data(), first);
  std::memcpy(bytes_, text.data() + first, text.size() - first);
  end_.store(end + text.size(), std::memory_order_release);
}

std::vector<std::string> LogRing::lines() const {
  const std::uint64_t end = end_.load(std::memory_order_acquire);
  const bool full = end > kLogRingBytes;
  std::string text;
  if (full) text.assign(bytes_ + end % kLogRingBytes, kLogRingBytes - end % kLogRingBytes);
  text.append(bytes_, full ? end % kLogRingBytes : static_cast<std::size_t>(end));
  std::vector<std::string> lines;
  // In a full ring, the bytes before the first newline are the end of a line that was overwritten.
  std::size_t begin = full ? std::min(text.find('\n'), text.size() - 1) + 1 : 0;
  while (begin < text.size()) {
    const std::size_t newline = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, newline - begin));
    begin = newline + 1;
  }
  return lines;
}

}  // namespace pronghorn
