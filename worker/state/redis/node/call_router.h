// What a RedisCall asks of whoever leads its commands to several nodes.
#pragma once

#include <span>
#include <string_view>

namespace pronghorn::worker {

class CallSchedule;
class RedisCall;

// Context: loop thread.
class CallRouter {
 public:
  // Queues one command of the call.
  virtual void issue(RedisCall& call, std::span<const std::string_view> words) = 0;
  // The call waits for nothing any more.
  virtual void forget(RedisCall& call) noexcept = 0;
  [[nodiscard]] virtual CallSchedule& schedule() const noexcept = 0;

 protected:
  CallRouter() = default;
  CallRouter(const CallRouter&) = delete;
  CallRouter& operator=(const CallRouter&) = delete;
  ~CallRouter() = default;
};

}  // namespace pronghorn::worker
