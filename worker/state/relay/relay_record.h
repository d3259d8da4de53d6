// What travels between a worker and the relay, over a stream of bytes: records of a head, a channel and a payload.
//
// Both ends are of one build and one machine. A reader nevertheless trusts no length: an application may corrupt its
// worker.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pronghorn::worker {

enum class RelayKind : std::uint16_t {
  // to the relay
  subscribe = 1,
  unsubscribe,
  // from the relay
  subscribed,  // what is published in the channel from now on follows
  message,
  lost,  // none of the receiver's subscriptions exists any more, and messages may have been missed
};

struct RelayRecord {
  RelayKind kind{};
  std::string_view channel;
  std::string_view payload;  // of a message only
};

inline constexpr std::size_t kMaxRelayChannel = 4096;
inline constexpr std::size_t kMaxRelayPayload = 64 * 1024 * 1024;

// `channel` and `payload` must not be longer than the limits.
[[nodiscard]] std::string encode(const RelayRecord& record);

// Splits what arrives into records. No I/O.
class RelayReader {
 public:
  enum class Next : std::uint8_t { record, incomplete, malformed };

  // `bytes` must stay valid until next() has not returned a record.
  void feed(std::string_view bytes);
  // The views of `record` are valid until the next call of this class.
  [[nodiscard]] Next next(RelayRecord& record);

 private:
  std::string kept_;       // the beginning of an incomplete record, and what has been fed to it
  std::string_view left_;  // what is to be read: of kept_, or of what was fed
  bool is_kept_ = false;
};

}  // namespace pronghorn::worker
