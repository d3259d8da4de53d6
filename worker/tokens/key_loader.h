// Loads the keys of tokens with a function of the application (TokenOptions::load_keys): once at a time, however many
// requests want them.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>

#include "pronghorn/key_set.h"
#include "pronghorn/task.h"
#include "worker/runtime/waiting_list.h"

namespace pronghorn::worker {

// Context: loop thread; one per Tokens of a worker.
class KeyLoader {
 public:
  using Keys = std::shared_ptr<pronghorn::detail::KeyRing>;
  using Load = std::function<Task<KeySet>()>;
  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  // Tests set the clock.
  explicit KeyLoader(Clock now = [] { return std::chrono::steady_clock::now(); }) : now_(std::move(now)) {}
  KeyLoader(const KeyLoader&) = delete;
  KeyLoader& operator=(const KeyLoader&) = delete;

  // Calls the function, unless another caller does: then waits for what that one gets, and for its own if the other one
  // leaves. Throws what the function throws, and std::runtime_error if it yields no keys. Must outlive the task.
  [[nodiscard]] Task<Keys> load(Load function);

  // Whether a key that is not known is worth a load(): one runs, or none has begun for 10 s. Strangers can send any
  // number of tokens with unknown keys.
  [[nodiscard]] bool may_load() const;
  // Throws what the last load() threw, if it failed: then nobody knows whether there is such a key.
  void require_loaded() const;

 private:
  struct Outcome {
    bool ended = false;
    WaitingList waiting;
    Keys keys;
    std::exception_ptr error;  // neither: the caller has left
  };
  [[nodiscard]] static Task<void> run(const Load& function, Outcome& outcome);

  Clock now_;
  std::chrono::steady_clock::time_point began_{};
  std::shared_ptr<Outcome> running_;
  std::exception_ptr error_;
};

}  // namespace pronghorn::worker
