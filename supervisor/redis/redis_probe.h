// Whether the embedded Redis answers: a PING at a time, over a connection of its own.
//
// Any answer counts, an error too (-LOADING, -BUSY, -NOAUTH): a process that is stopped, or hangs, sends none.
//
// Context: supervisor, main thread. Never blocks.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

#include "common/fd.h"

namespace pronghorn::supervisor {

class RedisProbe {
 public:
  // `socket`: the path of its Unix socket.
  explicit RedisProbe(std::string socket) : socket_(std::move(socket)) {}

  // Looks for the answer to the last PING and sends the next one. Call at least once a second, with the monotonic time
  // in milliseconds. Returns for how long an answer has been missing; 0: none is. Time in which the supervisor itself
  // could not run does not count.
  [[nodiscard]] std::chrono::milliseconds look(std::uint64_t now);
  // Whether it can serve: the last answer was another than -LOADING. False before the first answer.
  [[nodiscard]] bool is_serving() const noexcept { return is_serving_; }
  // Redis has ended: the next look begins anew.
  void reset() noexcept;

 private:
  static constexpr std::uint64_t kLateMs = 3'000;  // between looks: the machine was suspended, or busy

  [[nodiscard]] bool answered() noexcept;
  [[nodiscard]] bool ask() noexcept;

  std::string socket_;
  Fd connection_;
  std::uint64_t waits_since_ms_ = 0;  // 0: for no answer
  std::uint64_t last_look_ms_ = 0;
  bool is_serving_ = false;
};

}  // namespace pronghorn::supervisor
