// The keys of rate limits in Redis: NAME:l:ROUTE:ALGORITHM-WINDOW:{WHO}.
//
// A limit whose algorithm or window changes in a new release starts from zero instead of misreading the old data. On a
// Redis Cluster, the limits of a route that count by the same WHO are in one slot, so that one script checks them.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <unordered_map>

#include "pronghorn/limit.h"
#include "pronghorn/request.h"

namespace pronghorn::worker {

// Of the limit, within what scripts can compute with.
[[nodiscard]] std::chrono::milliseconds window_of(const Limit& limit);

// As in keys and in the scripts: "fixed", "sliding", "bucket", "gcra", "concurrent".
[[nodiscard]] const char* algorithm_name(LimitAlgorithm algorithm) noexcept;

// What a request without any other key is counted by: its client's address; of IPv6 the /64, which one subscriber owns
// and could otherwise choose addresses from at will.
[[nodiscard]] std::string client_key(Request& request);

// `text`, bounded and without braces; never empty, because an empty hash tag is none.
[[nodiscard]] std::string who_part(std::string_view text);

// The first part of keys, up to WHO. It is made once for each limit.
class LimitKeys {
 public:
  explicit LimitKeys(std::string prefix) : prefix_(std::move(prefix)) {}
  // `name` identifies the limit within the application. The limit's address is only a hint, so the limit may be a
  // temporary. Valid until the next call.
  [[nodiscard]] const std::string& base_of(const Limit& limit, std::string_view name);

 private:
  struct Base {
    std::string name;
    LimitAlgorithm algorithm{};
    std::chrono::milliseconds window{};
    std::string text;
  };
  std::string prefix_;
  std::unordered_map<const Limit*, Base> bases_;
};

}  // namespace pronghorn::worker
