// What coroutines need from a loop: timers, background tasks and the offload pool. The implementation of
// pronghorn/timer.h, offload.h and concurrent.h.
//
// Context: one per loop. The constructor makes it the current runtime of its thread. A thread with several loops
//          (tests) calls make_current() before it runs code of another one.
#pragma once

#include <uv.h>

#include <coroutine>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "pronghorn/concurrent.h"
#include "pronghorn/offload.h"
#include "pronghorn/task.h"
#include "pronghorn/timer.h"

namespace pronghorn::worker {

class Runtime {
 public:
  // Throws std::runtime_error if the loop refuses a handle. `loop` must outlive the runtime.
  explicit Runtime(uv_loop_t* loop);
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  // Destroys the background tasks that are left and abandons offloaded work, which still runs to its end. The loop must
  // turn until that has ended and the handles are freed.
  ~Runtime();

  // The runtime of this thread. Aborts with a message if there is none.
  static Runtime& current() noexcept;
  void make_current() noexcept;

  [[nodiscard]] uv_loop_t* loop() const noexcept { return loop_; }

  // How many tasks of spawn() and pieces of offloaded work have not ended.
  [[nodiscard]] std::size_t background_tasks() const noexcept { return background_.size() + offloaded_.size(); }
  // Calls `callback` whenever background_tasks() has become 0. It must not destroy the runtime.
  void on_idle(std::function<void()> callback) { on_idle_ = std::move(callback); }
  // Destroys the tasks of spawn() at their suspension points. Not from within one of them.
  void destroy_background_tasks() noexcept;

 private:
  friend class pronghorn::detail::Timer;
  friend void pronghorn::detail::spawn_detached(Task<void>);
  friend void pronghorn::detail::submit_work(std::shared_ptr<pronghorn::detail::OffloadedWork>);
  class Background;
  struct Offloaded;

  static Background run_in_background(Runtime& runtime, Task<void> task);
  void start(Task<void> task);
  void submit(std::shared_ptr<pronghorn::detail::OffloadedWork> work);
  void notify_when_idle();

  uv_loop_t* loop_;
  std::unique_ptr<pronghorn::detail::TimerQueue> timers_;
  std::vector<std::coroutine_handle<>> background_;  // each destroys itself when it ends
  std::vector<Offloaded*> offloaded_;                // each is freed by its after-work callback
  std::function<void()> on_idle_;
};

}  // namespace pronghorn::worker
