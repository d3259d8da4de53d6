#include "worker/state/relay/relay_record.h"

#include <cstring>

namespace pronghorn::worker {
namespace {

struct Head {
  std::uint32_t payload_size;
  std::uint16_t channel_size;
  std::uint16_t kind;
};

}  // namespace

std::string encode(const RelayRecord& record) {
  const Head head{static_cast<std::uint32_t>(record.payload.size()), static_cast<std::uint16_t>(record.channel.size()),
                  static_cast<std::uint16_t>(record.kind)};
  std::string bytes;
  bytes.reserve(sizeof head + record.channel.size() + record.payload.size());
  bytes.append(reinterpret_cast<const char*>(&head), sizeof head);
  return bytes.append(record.channel).append(record.payload);
}

void RelayReader::feed(std::string_view bytes) {
  is_kept_ = !kept_.empty();
  if (is_kept_) kept_.append(bytes);
  left_ = is_kept_ ? std::string_view(kept_) : bytes;
}

// The rest that is not a whole record is kept; a payload of many pieces is copied once, apart from the growth of the
// string.
RelayReader::Next RelayReader::next(RelayRecord& record) {
  Head head{};
  std::size_t size = sizeof head;
  if (left_.size() >= sizeof head) {
    std::memcpy(&head, left_.data(), sizeof head);
    if (head.channel_size > kMaxRelayChannel || head.payload_size > kMaxRelayPayload) return Next::malformed;
    size += head.channel_size + head.payload_size;
  }
  if (left_.size() < size) {
    if (is_kept_) {
      kept_.erase(0, kept_.size() - left_.size());
    } else {
      kept_.assign(left_);
    }
    if (kept_.empty()) kept_.shrink_to_fit();
    left_ = {};
    return Next::incomplete;
  }
  record.kind = static_cast<RelayKind>(head.kind);
  record.channel = left_.substr(sizeof head, head.channel_size);
  record.payload = left_.substr(sizeof head + head.channel_size, head.payload_size);
  left_.remove_prefix(size);
  return Next::record;
}

}  // namespace pronghorn::worker
