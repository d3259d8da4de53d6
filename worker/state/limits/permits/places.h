// The places of requests in concurrency limits, and those of workers that died.
//
// A concurrency limit is a sorted set of the requests that run, each with the time at which it is given up at the
// latest. A request is named "HOLDER/NUMBER", where the holder is its process (worker/state/idempotency/holder.h): any
// worker of the same machine can tell whether it still lives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "pronghorn/task.h"

namespace pronghorn::worker {

class RedisClient;

// The places of one request. Frees them when it is destroyed. Movable.
class Places {
 public:
  Places() = default;
  Places(RedisClient& client, std::string request) : client_(&client), request_(std::move(request)) {}
  Places(Places&& other) noexcept
      : client_(other.client_),
        keys_(std::exchange(other.keys_, {})),
        request_(std::move(other.request_)),
        others_(std::move(other.others_)) {}
  Places& operator=(Places&& other) noexcept {
    std::swap(client_, other.client_);
    std::swap(keys_, other.keys_);
    std::swap(request_, other.request_);
    std::swap(others_, other.others_);
    return *this;
  }
  ~Places();

  // Takes over those of another question about the same request.
  void join(Places&& other) {
    if (other.keys_.empty()) return;
    if (keys_.empty()) {
      *this = std::move(other);
    } else {
      others_.push_back(std::move(other));
    }
  }
  void add(std::string key) { keys_.push_back(std::move(key)); }
  void forget() noexcept {
    keys_.clear();
    others_.clear();
  }
  [[nodiscard]] const std::vector<std::string>& keys() const noexcept { return keys_; }

 private:
  RedisClient* client_ = nullptr;
  std::vector<std::string> keys_;
  std::string request_;
  std::vector<Places> others_;
};

// Context: loop thread; one per worker.
class PlaceHolders {
 public:
  explicit PlaceHolders(RedisClient* client);

  // The name of a new request, unique.
  [[nodiscard]] std::string next_request() { return holder_ + "." + instance_ + "/" + std::to_string(++requests_); }

  // Frees the places that processes of this machine had in the limit `key` when they died. Whether there were any. Looks
  // at most once per kIntervalMs for each key, so that refusing remains cheap; other calls in that time have the result
  // of that look, and wait for it. Never throws.
  [[nodiscard]] Task<bool> free_dead(std::string key);

 private:
  static constexpr std::uint64_t kIntervalMs = 100;
  static constexpr std::size_t kMostKeys = 1024;

  struct Look {
    std::uint64_t began_ms = 0;
    bool running = false;
    bool freed = false;
  };
  [[nodiscard]] std::shared_ptr<Look> look_at(const std::string& key);
  [[nodiscard]] Task<bool> remove_ended(std::string key);

  RedisClient* client_;
  std::string holder_;
  std::string instance_;  // tests have several workers in a process
  std::uint64_t requests_ = 0;
  std::unordered_map<std::string, std::shared_ptr<Look>> looks_;  // the last one at each key
};

}  // namespace pronghorn::worker
