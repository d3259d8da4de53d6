// When a worker is replaced because it is used, old or large: bookkeeping without I/O. Facts and time are passed in.
//
// One worker at a time holds the token, from the start of its successor until it has gone. So there is never a herd;
// and the limits of requests and age are staggered by slot, so that workers that started together do not queue for the
// token either: slot s of n has the limit × (1 + s / 8n). Memory is not staggered: a limit of memory is meant as one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/config/config.h"

namespace pronghorn::supervisor {

// 0: no limit.
struct RecycleLimits {
  std::uint64_t requests = 0;
  std::uint64_t age_ms = 0;
  std::uint64_t memory = 0;  // bytes
};
[[nodiscard]] RecycleLimits recycle_limits(const Config& config) noexcept;

// A ready worker.
struct RecycleFacts {
  std::uint32_t slot = 0;
  int pid = 0;
  std::uint64_t requests = 0;  // answered in its row, by earlier workers too
  std::uint64_t age_ms = 0;
  std::uint64_t memory = 0;  // resident bytes; 0: not known
  RecycleLimits limits;      // those that it was started with
};

class Recycling {
 public:
  static constexpr std::uint64_t kRetryMs = 60'000;     // after a successor that did not become ready
  static constexpr std::uint64_t kPatienceMs = 60'000;  // for memory; then the old worker goes first

  enum class Way {
    surge,        // the successor first, then the old worker
    drain_first,  // no memory for both: the neighbours serve meanwhile
  };
  struct Step {
    std::uint32_t slot = 0;
    int pid = 0;
    Way way = Way::surge;
    std::string reason;  // "512.3 MiB of memory, recycle_memory is 512 MiB"
  };
  // What to tell in the log; each is told once.
  struct Advice {
    std::optional<Step> step;
    std::string warning;
  };

  // Once a second, while nothing else replaces workers. `workers`: all that are ready; `slots`: how many should be.
  // `headroom`: bytes that may still be used; absent: no limit. A step that is returned holds the token.
  [[nodiscard]] Advice next(const std::vector<RecycleFacts>& workers, std::uint32_t slots,
                            std::optional<std::uint64_t> headroom, std::uint64_t now);

  // A worker has become ready: what its row and its memory stand at is not what it has used up. One that is first seen
  // by next() begins there.
  void began(int pid, std::uint64_t requests, std::uint64_t memory);
  // The successor of the step that was returned.
  void started(int successor) noexcept { successor_ = successor; }
  // Neither could be made, or it did not become ready.
  void failed(std::uint64_t now) noexcept;
  // The worker is gone. Gives the token back when it was the replaced one; a successor that still starts is then the
  // slot's ordinary next worker.
  void gone(int pid) noexcept;

  [[nodiscard]] bool busy() const noexcept { return replaced_ != 0; }
  [[nodiscard]] int successor() const noexcept { return successor_; }  // 0: none is awaited
  [[nodiscard]] int replaced() const noexcept { return replaced_; }    // 0: none
  void successor_is_ready() noexcept { successor_ = 0; }

 private:
  struct Baseline {
    std::uint64_t requests = 0;
    std::uint64_t memory = 0;
  };
  struct Due {
    const RecycleFacts* worker = nullptr;
    double excess = 0;  // value / limit
    std::string reason;
  };

  void note(const std::vector<RecycleFacts>& workers);
  [[nodiscard]] std::optional<Due> due(const RecycleFacts& worker, std::uint32_t slots) const;
  [[nodiscard]] std::string starts_too_large(const RecycleFacts& worker);

  std::unordered_map<int, Baseline> baselines_;  // by pid
  int replaced_ = 0;
  int successor_ = 0;
  std::uint64_t not_before_ms_ = 0;
  std::uint64_t waiting_since_ms_ = 0;  // for memory; 0: it does not
  bool told_too_large_ = false;
};

}  // namespace pronghorn::supervisor
