// Workers that share a cache, with fills that count themselves.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pronghorn/cache.h"
#include "pronghorn/timer.h"
#include "unit/worker/state/state_worker.h"

namespace pronghorn::test {

// A worker with its cache. All of a test run in its thread: turn the loop of each that has something to do.
class CacheWorker : public StateWorker {
 public:
  explicit CacheWorker(const std::string& redis) : StateWorker(redis) { ready(); }
  explicit CacheWorker(const Config& config) : StateWorker(config) {}

  [[nodiscard]] Cache cache() const { return Cache(*state->cache); }
  // The value of the key, which is `fresh` if it has to be computed.
  std::string get(const std::string& key, const std::string& fresh, const CacheOptions& options = {}) {
    auto fill = [fresh] { return fresh; };
    return run(cache().get_or_fill(key, options, fill));
  }
  [[nodiscard]] std::uint64_t count(Count counter) const { return (*row)[counter].load(); }
};

// A fill that waits until it is told how to end.
struct HeldFill {
  int begun = 0;
  std::optional<std::string> value;  // present: the fill returns it
  bool fails = false;

  auto function() {
    return [this]() -> Task<std::string> {
      ++begun;
      while (!value && !fails) co_await sleep_for(std::chrono::milliseconds(1));
      if (fails) throw std::runtime_error("the fill failed");
      std::string filled = *value;
      co_return filled;
    };
  }
};

template <class T>
void start(StateWorker& worker, Task<T>& task) {
  worker.make_current();
  task.start();
}

// Turns the loops of several workers.
inline bool wait_all(const std::vector<StateWorker*>& workers, const std::function<bool()>& condition,
                     std::chrono::milliseconds deadline = 10s) {
  return workers.front()->wait(
      [&] {
        for (std::size_t i = 1; i < workers.size(); ++i) workers[i]->poll();
        return condition();
      },
      deadline);
}

}  // namespace pronghorn::test
