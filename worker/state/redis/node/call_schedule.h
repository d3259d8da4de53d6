// The calls of a worker that are to be resumed, and those that fail at a time of their own.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "common/ipc/scoreboard.h"
#include "common/uv_ptr.h"

namespace pronghorn::worker {

class RedisCall;

// A command fails by the deadline that its node gives to all of its commands. This class is for calls that must not
// wait so long, or that wait at no node: those of a request with little time left, and those that a cluster redirects.
//
// Context:   loop thread; one per RedisClient.
// Ownership: refers to calls; each takes itself out when it is destroyed.
class CallSchedule {
 public:
  CallSchedule(uv_loop_t* loop, CounterArray& counters);
  CallSchedule(const CallSchedule&) = delete;
  CallSchedule& operator=(const CallSchedule&) = delete;
  void close() noexcept { timer_.reset(); }

  // Has the call resumed by the next resume(). Does nothing if it is not awaited yet: its await will not suspend then.
  void make_ready(RedisCall& call);
  // Coroutines run only here. They may send commands, destroy calls and close the client.
  void resume();

  // Fails the call at `at_ns` (uv_hrtime) unless it has ended. Only the earliest time counts.
  void fail_at(RedisCall& call, std::uint64_t at_ns);
  void forget(RedisCall& call) noexcept;  // before it is destroyed
  void forget_deadline(RedisCall& call) noexcept;

 private:
  void arm();
  void start(std::uint64_t delay_ms);
  void on_time();

  CounterArray& counters_;
  std::vector<RedisCall*> ready_;  // null: destroyed meanwhile
  bool resuming_ = false;
  std::multimap<std::uint64_t, RedisCall*> deadlines_;
  bool last_chance_ = false;  // see on_time()
  UvPtr<uv_timer_t> timer_;
};

}  // namespace pronghorn::worker
