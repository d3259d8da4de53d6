// Parses the bytes that Redis sends: hiredis' protocol parser, which builds pronghorn::Reply directly instead of a tree
// of its own.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "pronghorn/redis.h"

struct redisReader;
struct redisReadTask;

namespace pronghorn::worker {

// The stream of replies of one connection. Its memory grows with the bytes received, never with a length that was only
// announced.
class ReplyReader {
 public:
  static constexpr std::size_t kMaxBuffered = 512 * 1024 * 1024;  // bytes of one incomplete reply

  ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;
  ~ReplyReader();

  enum class Next { reply, incomplete, malformed };

  void feed(std::string_view bytes);
  // Moves the next complete reply to `reply`. After `malformed` nothing more can be read: close the connection.
  [[nodiscard]] Next next(Reply& reply);
  [[nodiscard]] std::string error() const;  // why next() returned `malformed`

 private:
  friend struct pronghorn::detail::ReplyBuilder;
  redisReader* reader_;
  Reply root_;  // what is being built
};

}  // namespace pronghorn::worker
