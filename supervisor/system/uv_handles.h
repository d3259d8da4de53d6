// Timers, signals and descriptors on the supervisor's loop.
//
// Context: supervisor, main thread.
#pragma once

#include <uv.h>

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "common/uv_ptr.h"

namespace pronghorn::supervisor {

// Takes over a handle after its uv_*_init. Throws std::runtime_error, "WHAT: REASON", when that has failed.
template <class Handle>
[[nodiscard]] UvPtr<Handle> own_handle(std::unique_ptr<Handle> handle, int init_error, const char* what) {
  if (init_error != 0) throw std::runtime_error(std::string(what) + ": " + uv_strerror(init_error));
  return UvPtr<Handle>(handle.release());
}

// Calls back after a time, once or repeatedly. The callback must not destroy its Timer.
class Timer {
 public:
  Timer(uv_loop_t* loop, std::function<void()> callback) : callback_(std::move(callback)) {
    auto timer = std::make_unique<uv_timer_t>();
    const int error = uv_timer_init(loop, timer.get());
    timer_ = own_handle(std::move(timer), error, "cannot create a timer");
    timer_->data = this;
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Cancels an earlier start. A `repeat` of zero: calls back once.
  void start(std::chrono::milliseconds after,
             std::chrono::milliseconds repeat = std::chrono::milliseconds(0)) noexcept {
    uv_timer_start(timer_.get(), run, static_cast<std::uint64_t>(after.count()),
                   static_cast<std::uint64_t>(repeat.count()));
  }
  void stop() noexcept { uv_timer_stop(timer_.get()); }

 private:
  static void run(uv_timer_t* timer) {
    if (timer->data != nullptr) static_cast<Timer*>(timer->data)->callback_();
  }
  std::function<void()> callback_;
  UvPtr<uv_timer_t> timer_;
};

// Calls back whenever the signal arrives, from construction on. The callback must not destroy its Signal.
class Signal {
 public:
  Signal(uv_loop_t* loop, int number, std::function<void()> callback) : callback_(std::move(callback)) {
    auto handle = std::make_unique<uv_signal_t>();
    int error = uv_signal_init(loop, handle.get());
    signal_ = own_handle(std::move(handle), error, "cannot watch for signals");
    signal_->data = this;
    error = uv_signal_start(signal_.get(), run, number);
    if (error != 0) throw std::runtime_error(std::string("cannot watch for signals: ") + uv_strerror(error));
  }
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

 private:
  static void run(uv_signal_t* signal, int) {
    if (signal->data != nullptr) static_cast<Signal*>(signal->data)->callback_();
  }
  std::function<void()> callback_;
  UvPtr<uv_signal_t> signal_;
};

// Calls back while the descriptor is readable, between start() and stop(). The descriptor must outlive the Poll. The
// callback may destroy its Poll.
class Poll {
 public:
  Poll(uv_loop_t* loop, int fd, std::function<void()> callback) : callback_(std::move(callback)) {
    auto poll = std::make_unique<uv_poll_t>();
    const int error = uv_poll_init(loop, poll.get(), fd);
    poll_ = own_handle(std::move(poll), error, "cannot watch a descriptor");
    poll_->data = this;
  }
  Poll(const Poll&) = delete;
  Poll& operator=(const Poll&) = delete;

  void start() noexcept { uv_poll_start(poll_.get(), UV_READABLE, run); }
  void stop() noexcept { uv_poll_stop(poll_.get()); }

 private:
  static void run(uv_poll_t* poll, int, int) {
    if (poll->data == nullptr) return;
    const auto callback = static_cast<Poll*>(poll->data)->callback_;  // a copy: the call may destroy the Poll
    callback();
  }
  std::function<void()> callback_;
  UvPtr<uv_poll_t> poll_;
};

}  // namespace pronghorn::supervisor
