// What another worker needs to go on with a socket, as bytes: the state of its ledger entry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pronghorn::worker {

inline constexpr std::size_t kSocketId = 24;          // hex digits
inline constexpr std::size_t kMaxSocketMember = 256;  // bytes
inline constexpr std::size_t kMaxSocketAfter = 64;    // bytes: an epoch and an offset are shorter

struct SocketRecord {
  struct Topic {
    std::string name;
    std::string member = {};  // of its presence
    std::string after = {};   // where it wants to begin, until its place is known
    std::uint32_t history = 0;
    bool present = false;
  };
  std::string id;
  std::string route;  // its path
  std::string subprotocol;
  std::string attachment;
  std::vector<Topic> topics;
  bool compressed = false;       // permessage-deflate was negotiated …
  std::uint8_t window_bits = 0;  // … with this window for what the server sends
  std::uint16_t sent_close = 0;  // the code of the close frame that was sent; 0: none
};

// Appends to `out`.
void write_record(const SocketRecord& record, std::string& out);
// nullopt unless write_record() may have made the bytes: they may come from another version of this program.
[[nodiscard]] std::optional<SocketRecord> read_record(std::string_view bytes);

}  // namespace pronghorn::worker
