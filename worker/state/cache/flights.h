// The fills that callers of one worker wait for: the first caller of a key leads, the others follow and share what it
// finds.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "worker/runtime/waiting_list.h"

namespace pronghorn::worker {

struct CacheAnswer;

// Context: loop thread; must outlive the coroutines that lead or follow.
class Flights {
 public:
  struct Flight {
    std::shared_ptr<const CacheAnswer> answer;  // null: it has not landed, or nothing was found that others may have
    bool ended = false;
    WaitingList followers;
  };

  // Leads: until it is destroyed, others of this key follow. Then they are woken, at the next turn of the loop.
  class Lead {
   public:
    Lead(Flights& flights, const std::string& key);
    Lead(const Lead&) = delete;
    Lead& operator=(const Lead&) = delete;
    ~Lead();
    [[nodiscard]] bool followed() const noexcept { return !flight_->followers.empty(); }
    void land(std::shared_ptr<const CacheAnswer> answer) noexcept { flight_->answer = std::move(answer); }

   private:
    Flights& flights_;
    std::string key_;
    std::shared_ptr<Flight> flight_;
  };

  // The flight of a key; null if there is none.
  [[nodiscard]] std::shared_ptr<Flight> find(const std::string& key) const;
  // Nobody follows the present flight of this key from now on: what it finds is out of date.
  void forget(const std::string& key) { by_key_.erase(key); }

 private:
  std::unordered_map<std::string, std::shared_ptr<Flight>> by_key_;
};

}  // namespace pronghorn::worker
