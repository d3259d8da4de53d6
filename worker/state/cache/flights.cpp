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
  flight_->followers.wake_all();
}

std::shared_ptr<Flights::Flight> Flights::find(const std::string& key) const {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : found->second;
}

}  // namespace pronghorn::worker
