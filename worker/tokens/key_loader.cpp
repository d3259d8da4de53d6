#include "worker/tokens/key_loader.h"

#include <stdexcept>
#include <utility>

namespace pronghorn::worker {
namespace {

constexpr std::chrono::seconds kAgain{10};

}  // namespace

bool KeyLoader::may_load() const {
  return running_ != nullptr || began_.time_since_epoch().count() == 0 || now_() - began_ >= kAgain;
}

void KeyLoader::require_loaded() const {
  if (error_) std::rethrow_exception(error_);
}

Task<KeyLoader::Keys> KeyLoader::load(Load function) {
  while (const std::shared_ptr<Outcome> other = running_) {
    if (!other->ended) co_await other->waiting.wait();
    if (other->error) std::rethrow_exception(other->error);
    if (other->keys) co_return other->keys;
  }
  // Ends also if the caller leaves.
  struct Running {
    KeyLoader& loader;
    std::shared_ptr<Outcome> outcome = std::make_shared<Outcome>();
    ~Running() {
      outcome->ended = true;
      loader.running_.reset();
      outcome->waiting.wake_all();
    }
  };
  const Running mine{*this};
  running_ = mine.outcome;
  began_ = now_();
  co_await run(function, *mine.outcome);
  error_ = mine.outcome->error;
  require_loaded();
  co_return mine.outcome->keys;
}

Task<void> KeyLoader::run(const Load& function, Outcome& outcome) {
  try {
    const KeySet loaded = co_await function();
    if (loaded.empty()) throw std::runtime_error("load_keys has returned no keys");
    outcome.keys = loaded.keys();
  } catch (...) {
    outcome.error = std::current_exception();
  }
}

}  // namespace pronghorn::worker
