#include "worker/state/cache/flights.h"

#include <utility>

namespace pronghorn::worker {

Flights::Lead::Lead(Flights& flights, const std::string& key)
    : flights_(flights), key_(key), flight_(std::make_shared<Flight>()) {
  flights_.by_key_[key_] = flight_;
}

Flights::Lead::~Lead() {
  flight_->ended = true;
  const auto found = flights_.by_key_.find(key_);
  if (found != flights_.by_key_.end() && found->second == flight_) flights_.by_key_.erase(found);
  // A timer each, because a follower that runs may destroy others, and because coroutines are resumed by the loop alone.
  while (Follower* const follower = flight_->followers) {
    follower->unlink();
    follower->wake_.arm([](void* frame) { std::coroutine_handle<>::from_address(frame).resume(); },
                        follower->waiting_.address());
  }
}

void Flights::Follower::await_suspend(std::coroutine_handle<> waiting) noexcept {
  waiting_ = waiting;
  next_ = flight_->followers;
  link_ = &flight_->followers;
  if (next_ != nullptr) next_->link_ = &next_;
  flight_->followers = this;
}

void Flights::Follower::unlink() noexcept {
  if (link_ == nullptr) return;
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
  link_ = nullptr;
}

std::shared_ptr<Flights::Flight> Flights::find(const std::string& key) const {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : found->second;
}

}  // namespace pronghorn::worker
