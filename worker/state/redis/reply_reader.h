// Bytes from Redis to replies: hiredis' protocol parser, told to build pronghorn::Reply at once instead of a tree of
// its own.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "pronghorn/redis.h"

struct redisReader;
struct redisReadTask;

namespace pronghorn::worker {

// The stream of replies of one connection. Memory grows with what was received, never with a length that was merely
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
  // The next whole reply. After `malformed` the stream has lost its meaning: close the connection.
  [[nodiscard]] Next next(Reply& reply);
  [[nodiscard]] std::string error() const;  // why it is malformed

 private:
  friend struct ReplyBuilder;
  redisReader* reader_;
  Reply root_;  // what is being built
};

}  // namespace pronghorn::worker
