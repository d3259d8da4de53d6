#include "worker/websocket/socket_record.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "pronghorn/websocket.h"

namespace pronghorn::worker {
namespace {

constexpr std::uint8_t kFormat = 2;
constexpr std::size_t kLongestText = 8192;  // of any field

template <class T>
void put(std::string& out, T number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof number);  // read on the same machine
}

void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<std::uint16_t>(text.size()));
  out.append(text);
}

class Input {
 public:
  explicit Input(std::string_view bytes) noexcept : rest_(bytes) {}

  template <class T>
  [[nodiscard]] T number() noexcept {
    T value{};
    if (rest_.size() < sizeof value) {
      valid_ = false;
      return value;
    }
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  [[nodiscard]] std::string text() {
    const std::size_t size = number<std::uint16_t>();
    if (size > kLongestText || rest_.size() < size) {
      valid_ = false;
      return {};
    }
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return text;
  }
  [[nodiscard]] bool valid() const noexcept { return valid_; }
  [[nodiscard]] bool ended() const noexcept { return valid_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool valid_ = true;
};

bool is_valid(const SocketRecord& record) {
  const auto is_valid_topic = [](const SocketRecord::Topic& topic) {
    return is_topic(topic.name) && topic.member.size() <= kMaxSocketMember && topic.after.size() <= kMaxSocketAfter &&
           topic.history <= kMaxEventHistory;
  };
  return record.id.size() == kSocketId && record.attachment.size() <= kMaxSocketAttachment &&
         (!record.compressed || (record.window_bits >= 9 && record.window_bits <= 15)) &&
         std::ranges::all_of(record.topics, is_valid_topic);
}

}  // namespace

void write_record(const SocketRecord& record, std::string& out) {
  put(out, kFormat);
  put_text(out, record.id);
  put_text(out, record.route);
  put_text(out, record.subprotocol);
  put_text(out, record.attachment);
  put(out, static_cast<std::uint8_t>(record.compressed));
  put(out, record.window_bits);
  put(out, record.sent_close);
  put(out, static_cast<std::uint16_t>(record.topics.size()));
  for (const SocketRecord::Topic& topic : record.topics) {
    put_text(out, topic.name);
    put_text(out, topic.member);
    put_text(out, topic.after);
    put(out, topic.history);
    put(out, static_cast<std::uint8_t>(topic.present));
  }
}

std::optional<SocketRecord> read_record(std::string_view bytes) {
  Input in(bytes);
  SocketRecord record;
  if (in.number<std::uint8_t>() != kFormat) return std::nullopt;
  record.id = in.text();
  record.route = in.text();
  record.subprotocol = in.text();
  record.attachment = in.text();
  record.compressed = in.number<std::uint8_t>() != 0;
  record.window_bits = in.number<std::uint8_t>();
  record.sent_close = in.number<std::uint16_t>();
  const std::size_t topics = in.number<std::uint16_t>();
  if (topics > kMaxSocketTopics) return std::nullopt;
  for (std::size_t i = 0; i < topics && in.valid(); ++i) {
    SocketRecord::Topic& topic = record.topics.emplace_back();
    topic.name = in.text();
    topic.member = in.text();
    topic.after = in.text();
    topic.history = in.number<std::uint32_t>();
    topic.present = in.number<std::uint8_t>() != 0;
  }
  if (!in.ended() || !is_valid(record)) return std::nullopt;
  return record;
}

}  // namespace pronghorn::worker
