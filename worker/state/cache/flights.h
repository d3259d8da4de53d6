// The fills that callers of one worker wait for: the first caller of a key leads, the others follow and share what it
// finds.
#pragma once

#include <coroutine>
#include <memory>
#include <string>
#include <unordered_map>

#include "pronghorn/timer.h"

namespace pronghorn::worker {

struct CacheAnswer;

// Context: loop thread; must outlive the coroutines that lead or follow.
class Flights {
 public:
  class Follower;
  struct Flight {
    std::shared_ptr<const CacheAnswer> answer;  // null: it has not landed, or nothing was found that others may have
    bool ended = false;
    Follower* followers = nullptr;  // a list
  };

  // Leads: until it is destroyed, others of this key follow. Then they are woken, at the next turn of the loop.
  class Lead {
   public:
    Lead(Flights& flights, const std::string& key);
    Lead(const Lead&) = delete;
    Lead& operator=(const Lead&) = delete;
    ~Lead();
    [[nodiscard]] bool followed() const noexcept { return flight_->followers != nullptr; }
    void land(std::shared_ptr<const CacheAnswer> answer) noexcept { flight_->answer = std::move(answer); }

   private:
    Flights& flights_;
    std::string key_;
    std::shared_ptr<Flight> flight_;
  };

  // co_await it: resumes when the flight has ended.
  class Follower {
   public:
    explicit Follower(std::shared_ptr<Flight> flight) noexcept : flight_(std::move(flight)) {}
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;
    ~Follower() { unlink(); }

    [[nodiscard]] bool await_ready() const noexcept { return flight_->ended; }
    void await_suspend(std::coroutine_handle<> waiting) noexcept;
    void await_resume() const noexcept {}

   private:
    friend class Lead;
    void unlink() noexcept;

    std::shared_ptr<Flight> flight_;
    std::coroutine_handle<> waiting_;
    Follower* next_ = nullptr;
    Follower** link_ = nullptr;  // what points to this one; null: not in the list
    pronghorn::detail::Timer wake_{std::chrono::nanoseconds(0)};
  };

  // The flight of a key; null if there is none.
  [[nodiscard]] std::shared_ptr<Flight> find(const std::string& key) const;
  // Nobody follows the present flight of this key from now on: what it finds is out of date.
  void forget(const std::string& key) { by_key_.erase(key); }

 private:
  std::unordered_map<std::string, std::shared_ptr<Flight>> by_key_;
};

}  // namespace pronghorn::worker
