// Waiting for a fill or write that another worker runs.
#pragma once

#include <chrono>
#include <coroutine>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "pronghorn/task.h"
#include "pronghorn/timer.h"
#include "worker/state/redis/subscriptions/subscriber.h"

namespace pronghorn::worker {

// Redis says on a channel that a fill has ended (FillClaim publishes it). While the channel is not subscribed to, or
// the connection for it is down, the waiting worker looks by itself, at first often, then less.
//
// Context:   loop thread.
// Ownership: a local variable of the coroutine that waits.
class FillWait final : private Subscriber::Listener {
 public:
  FillWait(Subscriber& subscriber, const std::string& channel) : subscription_(subscriber.subscribe(channel, *this)) {}
  FillWait(const FillWait&) = delete;
  FillWait& operator=(const FillWait&) = delete;

  // Resumes when it is worth looking again: at the latest after `longest`.
  [[nodiscard]] auto next(std::chrono::milliseconds longest) {
    struct Awaiter {
      FillWait& wait;
      std::chrono::milliseconds longest;
      [[nodiscard]] bool await_ready() const noexcept { return std::exchange(wait.told_, false); }
      void await_suspend(std::coroutine_handle<> waiting) { wait.suspend(waiting, longest); }
      void await_resume() const noexcept { wait.told_ = false; }
    };
    return Awaiter{*this, longest};
  }

 private:
  // Subscriber::Listener
  void message(std::string_view, const Reply&) override { wake(); }
  void subscribed(std::string_view) override { wake(); }  // the fill may have ended before
  void interrupted(std::string_view) override { wake(); }

  void suspend(std::coroutine_handle<> waiting, std::chrono::milliseconds longest);
  void wake();
  void resume_after(std::chrono::milliseconds delay);

  std::coroutine_handle<> waiting_;
  std::optional<pronghorn::detail::Timer> timer_;
  std::chrono::milliseconds pause_{4};  // between two looks, without word from Redis
  bool told_ = false;                   // while nobody waited
  Subscription subscription_;
};

}  // namespace pronghorn::worker
