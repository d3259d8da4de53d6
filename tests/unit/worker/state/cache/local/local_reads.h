// Reads whose value may come from a local copy.
#pragma once

#include <string>

#include "unit/worker/state/cache/cache_worker.h"

namespace pronghorn::test {

inline const CacheOptions kLocal{.ttl = 100s, .local = true};

// Whether the value comes from a local copy: without a command.
inline bool is_local(CacheWorker& worker, const std::string& key, const std::string& value,
                     const CacheOptions& options = kLocal) {
  const auto commands = worker.count(Count::redis_commands);
  const bool same = worker.get(key, "not in the cache", options) == value;
  return same && worker.count(Count::redis_commands) == commands;
}

// Reads until it does.
inline bool becomes_local(CacheWorker& worker, const std::string& key, const std::string& value,
                          const CacheOptions& options = kLocal) {
  return worker.wait([&] {
    const auto commands = worker.count(Count::redis_commands);
    CHECK(worker.get(key, "not called", options) == value);
    return worker.count(Count::redis_commands) == commands;
  });
}

}  // namespace pronghorn::test
