// The end of the server: which process ends after which.
//
// Context: supervisor, main thread.
#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include "supervisor/crash/stack/symbolizer.h"
#include "supervisor/launch/handoff_queue.h"
#include "supervisor/redis/embedded_redis.h"
#include "supervisor/system/child_process.h"
#include "supervisor/workers/workers.h"

namespace pronghorn::supervisor {

// Ends what is left when the workers have been told to drain or to stop: the distributor, workers, their guardians, the
// admin process, children that name functions, Redis. Then stops the loop.
//
// Ownership: everything that the constructor is given must outlive it.
class Shutdown {
 public:
  // How long each step may take.
  enum class Mode {
    in_order,  // guardians and Redis finish what they do
    now,       // guardians are killed, Redis has a second
  };

  struct Parts {
    uv_loop_t* loop;
    Workers& workers;
    const HandoffQueue& handoff;
    Children& children;
    Symbolizer& symbolizer;
    std::optional<EmbeddedRedis>& redis;  // empty: there is none
    bool distributes;                     // a distributor accepts for the workers
    std::function<void()> close_listeners;
  };
  explicit Shutdown(Parts parts) : parts_(std::move(parts)) {}
  Shutdown(const Shutdown&) = delete;
  Shutdown& operator=(const Shutdown&) = delete;

  // Goes on as far as it can. Call it after each end of a process. True if it has to be called again soon, whether or
  // not one ends.
  [[nodiscard]] bool advance(Mode mode);
  // Kills Redis if everything else has ended. Does nothing before.
  void hurry() noexcept;

 private:
  [[nodiscard]] bool guardians_work(Mode mode);
  [[nodiscard]] std::uint64_t alone_for_ms();
  void end_redis(Mode mode);

  Parts parts_;
  bool closing_redis_ = false;
  std::uint64_t alone_since_ms_ = 0;  // when the last worker had ended while another child still ran
  std::size_t unclaimed_ = 0;         // connections of killed workers that no worker was left for
};

}  // namespace pronghorn::supervisor
