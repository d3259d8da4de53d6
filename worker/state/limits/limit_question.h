// One run of the script that checks rate limits: some or all limits of a request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pronghorn/limit.h"
#include "pronghorn/redis.h"
#include "pronghorn/task.h"
#include "worker/state/limits/permits/leases.h"
#include "worker/state/limits/permits/places.h"

namespace pronghorn::worker {

class RedisClient;

// What became known about one limit and one request.
struct LimitVerdict {
  bool allowed = true;
  std::uint32_t remaining = 0;       // requests that the limit still allows
  std::int64_t reset_ms = -1;        // until it allows one more; -1: unknown
  std::optional<Leases::Row> drawn;  // the request's permit came from there
};

// Context: loop thread. Add the limits, then ask once.
class LimitQuestion {
 public:
  // `client` must outlive the question. `request`: see Places; empty without a concurrency limit. `most`: how many limits
  // will be added, at most.
  LimitQuestion(RedisClient& client, std::string request, std::size_t most)
      : client_(client), request_(request), places_(client, std::move(request)) {
    asked_.reserve(most);
  }
  LimitQuestion(const LimitQuestion&) = delete;
  LimitQuestion& operator=(const LimitQuestion&) = delete;

  // `position` is that of `limit` among those of the route. With `fetch`, asks for as many permits as the limit leases.
  void add(std::size_t position, const Limit& limit, std::string key, std::optional<Leases::Fetch> fetch);

  // What is asked about one limit, and, once ask() has returned, the answer.
  struct Asked {
    std::size_t position;
    const char* algorithm;
    std::string key;
    std::string count, window, permits;  // as the script's arguments
    bool refuses;                        // false: in shadow mode
    std::optional<Leases::Fetch> fetch;
    LimitVerdict verdict;
  };

  // Sends the script; permits that Redis grants are in the shared memory when it returns. Throws RedisUnavailable and
  // RedisError. While it runs, the question owns the places of the request: if it is destroyed, they are freed.
  [[nodiscard]] static Task<void> ask(std::shared_ptr<LimitQuestion> question);

  // Takes back what was counted, except permits that were drawn from a lease. Nobody waits for it.
  void take_back();

  // In the order in which they were added.
  [[nodiscard]] const std::vector<Asked>& asked() const noexcept { return asked_; }
  // Whether it takes permits for others: then it must run to its end, or these are lost.
  [[nodiscard]] bool takes_more() const noexcept { return takes_more_; }
  // Whether the script has counted the request.
  [[nodiscard]] bool counted() const noexcept { return counted_; }
  [[nodiscard]] Places& places() noexcept { return places_; }

 private:
  void read(const Reply& reply, std::uint64_t sent_ms);

  RedisClient& client_;
  std::string request_;
  std::vector<Asked> asked_;
  Places places_;
  bool takes_more_ = false;
  bool counted_ = false;
};

}  // namespace pronghorn::worker
